"""Who made an object, of whom, and from what: the same in every object of one exam."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import highdicom as hd
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import validate_value

from marrowmap.inference.dicom_out import codes

MANUFACTURER = "marrowmap"
#: Namespace of our UIDs: the same exam, weights and findings give the same UIDs, so a repeat adds nothing.
_NAMESPACE = uuid.UUID("6f3a4a0e-5f0b-5c7e-9d52-4b8f0e1c7a11")
#: Elements of patient and study that every object of a study shares; empty where the source has none.
_SHARED = (
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientName"),
    *("PatientID", "PatientBirthDate", "PatientSex", "StudyID"),
)
#: The same where the source has them.
_OPTIONAL = (
    *("StudyDescription", "IssuerOfPatientID", "PatientAge", "PatientSize", "PatientWeight"),
    *("PatientIdentityRemoved", "DeidentificationMethod"),
)


@dataclass(frozen=True, kw_only=True)
class Maker:
    """What made the findings.

    Attributes:
        program_version: Version of this program.
        model: The report's `model` object: bundle name, version, sha256, lesion threshold.
        study_uid: Study Instance UID.
        seed: Digest of what the findings rest on; UIDs follow from it.
    """

    program_version: str
    model: Mapping[str, Any]
    study_uid: str
    seed: str

    def uid(self, *words: object) -> UID:
        """Return the UID that these words have for this exam, these weights and these findings."""
        name = "|".join((self.study_uid, self.seed, *(str(word) for word in words)))
        return UID(f"2.25.{uuid.uuid5(_NAMESPACE, name).int}")

    @property
    def serial_number(self) -> str:
        """Start of the weights' hash: other weights are another device."""
        return str(self.model["sha256"])[:16]

    @property
    def parameters(self) -> dict[str, str]:
        """What an algorithm identification says of the weights."""
        threshold = self.model.get("lesion_threshold")
        return {
            "weights": f"{self.model['name']} {self.model['version']}",
            "weights_sha256": str(self.model["sha256"]),
            **({} if threshold is None else {"lesion_threshold": f"{threshold:.4g}"}),
        }

    def device(self) -> dict[str, Any]:
        """Return highdicom's arguments on the equipment."""
        return {
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": MANUFACTURER,
            "software_versions": self.program_version,
            "device_serial_number": self.serial_number,
        }

    def algorithm(self) -> hd.AlgorithmIdentificationSequence:
        """Return the algorithm as segments and maps name it."""
        return hd.AlgorithmIdentificationSequence(
            name=MANUFACTURER,
            family=codes.ARTIFICIAL_INTELLIGENCE,
            version=self.program_version,
            source=MANUFACTURER,
            parameters=self.parameters,
        )

    def contribution(self) -> hd.ContributingEquipment:
        """Return what we did, as the Contributing Equipment Sequence of every object says it."""
        weights = self.parameters
        return hd.ContributingEquipment(
            manufacturer=MANUFACTURER,
            purpose_of_reference=codes.PROCESSING_EQUIPMENT,
            manufacturer_model_name=MANUFACTURER,
            software_versions=self.program_version,
            device_serial_number=self.serial_number,
            contribution_datetime=datetime.now(),
            contribution_description=f"Research use only. Weights {weights['weights']}, "
            f"sha256 {weights['weights_sha256']}"[:1024],
        )


def digest_of(parts: Iterable[bytes]) -> str:
    """Return a digest of bytes that findings rest on."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def complete(source: Dataset, slice_spacing_mm: float) -> None:
    """Give a source header the elements of patient, study and frame that an export may have left out.

    A header without them is not conformant, but common after de-identification. A value that its element
    cannot hold (an age of `67`) would make our objects invalid too: it counts as absent.
    """
    if not source.get("SliceThickness"):
        source.SliceThickness = f"{slice_spacing_mm:.6g}"
    for keyword in (*_SHARED, *_OPTIONAL):
        if keyword in source and not _is_valid(source[keyword]):
            del source[keyword]
    for keyword in _SHARED:
        if keyword not in source:
            setattr(source, keyword, "")
    if not source.get("FrameOfReferenceUID"):
        name = f"frame of reference of {source.get('SeriesInstanceUID') or source.SOPInstanceUID}"
        source.FrameOfReferenceUID = UID(f"2.25.{uuid.uuid5(_NAMESPACE, name).int}")
    if not source.get("PositionReferenceIndicator"):
        source.PositionReferenceIndicator = ""
    if source.get("PatientSex") not in ("M", "F", "O"):
        source.PatientSex = ""


def _is_valid(element: DataElement) -> bool:
    """Say whether an element holds what its value representation allows."""
    values = element.value if element.VM > 1 else [element.value]
    try:
        for value in values:
            if value not in (None, ""):
                validate_value(element.VR, str(value), config.RAISE)
    except ValueError:
        return False
    return True


def new_object(source: Dataset, sop_class_uid: str, sop_instance_uid: UID, maker: Maker) -> Dataset:
    """Return a new object of the source's patient and study, made by us now, for what highdicom has no class.

    Args:
        source: A completed source header.
        sop_class_uid: What kind of object.
        sop_instance_uid: Its UID.
        maker: Who made it.
    """
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = UID(sop_class_uid)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = sop_instance_uid
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SpecificCharacterSet = "ISO_IR 192"
    for keyword in (*_SHARED, *(word for word in _OPTIONAL if word in source)):
        setattr(made, keyword, source[keyword].value)
    made.StudyInstanceUID = source.StudyInstanceUID
    now = datetime.now()
    made.InstanceCreationDate = made.ContentDate = made.SeriesDate = now.strftime("%Y%m%d")
    made.InstanceCreationTime = made.ContentTime = made.SeriesTime = now.strftime("%H%M%S")
    made.Manufacturer = made.ManufacturerModelName = MANUFACTURER
    made.SoftwareVersions = maker.program_version
    made.DeviceSerialNumber = maker.serial_number
    made.ContributingEquipmentSequence = [maker.contribution()]
    return made
