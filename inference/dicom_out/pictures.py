"""The PDF report and the colour projection as objects of the study."""

from __future__ import annotations

import io

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from marrowmap.data.sources import SourceSeries
from marrowmap.inference.dicom_out import codes
from marrowmap.inference.dicom_out.provenance import Maker, digest_of, new_object
from marrowmap.inference.signature import Signature

PDF_SERIES_NUMBER = 9105
MIP_SERIES_NUMBER = 9106
PDF_DESCRIPTION = "marrowmap report (research)"
MIP_DESCRIPTION = "marrowmap projection with lesions (research)"


def encapsulated_pdf(
    pdf: bytes, source: SourceSeries, maker: Maker, *, reader: Signature | None, seed: str
) -> Dataset:
    """Return the PDF report as a document of the study.

    Args:
        pdf: The file's bytes.
        source: A completed source series; its instances are named as what the document was made from.
        maker: Who makes it.
        reader: Who signed; None leaves it UNVERIFIED.
        seed: Digest of the findings, for the UIDs.
    """
    made = new_object(source.first, EncapsulatedPDFStorage, maker.uid("pdf", seed), maker)
    made.Modality = "DOC"
    made.ConversionType = "WSD"
    made.SeriesInstanceUID = maker.uid("pdf", seed, "series")
    made.SeriesNumber, made.InstanceNumber = PDF_SERIES_NUMBER, 1
    made.SeriesDescription = PDF_DESCRIPTION
    made.AcquisitionDateTime = ""
    # Pages name the study by UID and date, never the person; still enough to find who it is.
    made.BurnedInAnnotation = "YES"
    made.RecognizableVisualFeatures = "YES"
    made.DocumentTitle = "Whole-body MRI, marrow findings (research use only)"
    made.VerificationFlag = "VERIFIED" if reader else "UNVERIFIED"
    made.ConceptNameCodeSequence = [hd.sr.CodedConcept.from_code(codes.TITLE)]
    made.SourceInstanceSequence = [_reference(dataset) for dataset in source.datasets]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocumentLength = len(pdf)
    made.EncapsulatedDocument = pdf + b"\x00" * (len(pdf) % 2)
    return made


def projection(mip_png: bytes, source: SourceSeries, maker: Maker) -> hd.sc.SCImage:
    """Return the colour projection as a secondary capture.

    Args:
        mip_png: The picture of the report.
        source: A completed source series.
        maker: Who makes it.
    """
    from PIL import Image

    first = source.first
    pixels = np.asarray(Image.open(io.BytesIO(mip_png)).convert("RGB"))
    seed = digest_of([mip_png])
    made = hd.sc.SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=first.StudyInstanceUID,
        series_instance_uid=maker.uid("mip", seed, "series"),
        series_number=MIP_SERIES_NUMBER,
        sop_instance_uid=maker.uid("mip", seed),
        instance_number=1,
        patient_id=first.PatientID,
        patient_name=first.PatientName,
        patient_birth_date=first.PatientBirthDate,
        patient_sex=first.PatientSex or None,
        accession_number=first.AccessionNumber,
        study_id=first.StudyID,
        study_date=first.StudyDate or None,
        study_time=first.StudyTime or None,
        referring_physician_name=first.ReferringPhysicianName,
        patient_orientation=("L", "F"),
        series_description=MIP_DESCRIPTION,
        specific_character_set="ISO_IR 192",
        contributing_equipment=[maker.contribution()],
        **maker.device(),
    )
    # Two projections side by side have no one orientation; their sides are lettered in the picture.
    made["PatientOrientation"].value = ""
    made.BodyPartExamined = "WHOLEBODY"
    made.BurnedInAnnotation = "NO"
    made.RecognizableVisualFeatures = "YES"
    return made


def _reference(dataset: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = dataset.SOPClassUID
    item.ReferencedSOPInstanceUID = dataset.SOPInstanceUID
    return item
