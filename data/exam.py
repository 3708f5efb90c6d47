"""The words that everything else speaks: sequence, volume, exam.

An exam is one whole-body MRI of one person on one date, as volumes by sequence.
Arrays are indexed `(i, j, k)`; an affine maps voxel indices to RAS+ patient mm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import GeometryError, SequenceMissingError

Array3D = npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.integer]
LesionMask = npt.NDArray[np.bool_]
Affine = npt.NDArray[np.float64]
SpacingMm = tuple[float, float, float]


class Sequence(StrEnum):
    """What a volume shows. The value is the word used in files and reports."""

    T1 = "t1"
    T2 = "t2"
    STIR = "stir"
    DWI_LOW = "dwi_low"
    DWI_HIGH = "dwi_high"
    ADC = "adc"
    DIXON_IN = "dixon_in"
    DIXON_OUT = "dixon_out"
    DIXON_FAT = "dixon_fat"
    DIXON_WATER = "dixon_water"
    FAT_FRACTION = "fat_fraction"
    T1_CONTRAST = "t1_contrast"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """One array with its geometry.

    Attributes:
        array: float32 `(i, j, k)`. ADC is in um2/s, the fat fraction in [0, 1], all else arbitrary.
        affine_ras_mm: 4 x 4, voxel index to RAS+ patient mm.
        b_value_s_per_mm2: Diffusion weighting, None where it has no meaning.
        is_computed: True when we computed it (an ADC from b-values), False when the scanner made it.
    """

    array: Array3D
    affine_ras_mm: Affine
    b_value_s_per_mm2: float | None = None
    is_computed: bool = False

    def __post_init__(self) -> None:
        """Refuse what is not a volume.

        Raises:
            GeometryError: If the array is not 3-D or the affine is singular.
        """
        if self.array.ndim != 3:
            raise GeometryError(f"need a three-dimensional volume, found {self.array.ndim} axes")
        if self.affine_ras_mm.shape != (4, 4) or abs(np.linalg.det(self.affine_ras_mm[:3, :3])) < 1e-9:
            raise GeometryError("need an invertible 4 x 4 affine; the voxel size or orientation is zero")

    @property
    def spacing_mm(self) -> SpacingMm:
        """Voxel size along `(i, j, k)`, in mm."""
        x, y, z = np.linalg.norm(self.affine_ras_mm[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along `(i, j, k)`."""
        i, j, k = self.array.shape
        return i, j, k


@dataclass(frozen=True, kw_only=True)
class ExamWarning:
    """Something a reader must know of this exam, in every output.

    Attributes:
        code: Stable word, e.g. `missing_stir`, `station_gap`, `adc_disagrees`.
        text: One sentence for a person.
    """

    code: str
    text: str


@dataclass(frozen=True, kw_only=True)
class StudyInfo:
    """Where the exam came from: identifiers only, never a name.

    Attributes:
        study_instance_uid: DICOM UID, empty for NIfTI input.
        study_date: `YYYY-MM-DD` or empty.
        series_uids: Series Instance UIDs by sequence, several where there are stations.
        stations: Number of stations by sequence.
        vendor: Manufacturer as written, or empty.
        field_strength_t: Tesla, or None.
        patient_sex: "M", "F" or None.
        patient_age_years: Age, or None.
        stature_m: Height of the person, or None.
    """

    study_instance_uid: str = ""
    study_date: str = ""
    series_uids: Mapping[Sequence, tuple[str, ...]] = field(default_factory=dict)
    stations: Mapping[Sequence, int] = field(default_factory=dict)
    vendor: str = ""
    field_strength_t: float | None = None
    patient_sex: str | None = None
    patient_age_years: float | None = None
    stature_m: float | None = None


@dataclass(frozen=True, kw_only=True)
class Exam:
    """One whole-body MRI, stations already composed into one volume a sequence.

    The minimum is a high-b diffusion volume and one anatomical sequence (T1, STIR, T2 or Dixon).
    """

    volumes: Mapping[Sequence, Volume]
    study: StudyInfo = field(default_factory=StudyInfo)
    warnings: tuple[ExamWarning, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an exam below the minimum set.

        Raises:
            SequenceMissingError: If no high-b diffusion or no anatomical volume is there.
        """
        found = ", ".join(sorted(self.volumes)) or "nothing"
        if Sequence.DWI_HIGH not in self.volumes:
            raise SequenceMissingError(
                f"no high-b diffusion series: found {found}, need one with b of 700 s/mm2 or more; "
                "export the whole study or name it with --dwi-series"
            )
        if not ANATOMICAL & set(self.volumes):
            raise SequenceMissingError(
                f"no anatomical series: found {found}, need T1, Dixon, STIR or T2 beside diffusion; "
                "export the whole study or name it with --t1-series"
            )

    def __getitem__(self, sequence: Sequence) -> Volume:
        """Return the volume of a sequence that is known to be there."""
        return self.volumes[sequence]

    def __contains__(self, sequence: object) -> bool:
        """Say whether the exam has this sequence."""
        return sequence in self.volumes


ANATOMICAL = frozenset(
    {Sequence.T1, Sequence.STIR, Sequence.T2, Sequence.DIXON_IN, Sequence.DIXON_FAT, Sequence.DIXON_WATER}
)
