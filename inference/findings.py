"""What was found in one exam, as values: lesions, counts, burden, pattern, alerts.

Every dataclass whose fields stand in `report.json` carries exactly the names of the file;
`findings_json.py` writes and reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import MaskError
from marrowmap.data.exam import Array3D, ExamWarning
from marrowmap.data.grid import Grid

if TYPE_CHECKING:
    from marrowmap.inference.collapse import SpineFindings
    from marrowmap.inference.doubt import Doubt

Kind = Literal["focal", "paramedullary", "extramedullary"]
Status = Literal["active", "treated", "indeterminate"]
Certainty = Literal["certain", "equivocal", "rejected"]
Benign = Literal["haemangioma", "degenerative", "fracture_oedema", "red_marrow", "other"]
PatternLabel = Literal["normal", "focal", "diffuse", "focal_on_diffuse", "micronodular"]
DiffuseGrade = Literal["none", "mild", "moderate", "severe"]
Coverage = Literal["complete", "partial", "absent"]


@dataclass(frozen=True, kw_only=True)
class AdcStatistics:
    """ADC over a set of voxels, in um2/s; None without voxels or without an ADC volume."""

    mean: float | None = None
    median: float | None = None
    p10: float | None = None
    p90: float | None = None


#: Nothing to measure: no voxels, or no ADC in this exam.
NO_ADC = AdcStatistics()


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One lesion, as in `report.json` `lesions[]`.

    Attributes:
        id: Number of the lesion in `lesions.nii.gz`, from 1.
        region: Key of the skeletal region (`lumbar_spine` ...), None away from the skeleton.
        kind: `focal` in bone; `paramedullary` in bone and beside it; `extramedullary` away from bone.
        status: What ADC says of its viability; `indeterminate` without ADC.
        certainty: `equivocal` asks for a reader or a second MRI; `rejected` is a reader's decision.
        suspected_benign: Benign mimic that its features suggest. A mark, never a deletion.
        probability: Probability that it is a lesion, in [0, 1].
        volume_ml: Volume.
        longest_diameter_mm: Longest extent in three dimensions.
        diameter_uncertainty_mm: One pixel of the finest sequence, or one voxel of the grid.
        perpendicular_diameter_mm: Longest extent at right angles to the longest diameter.
        centroid_ras_mm: Centre of mass in RAS+ patient mm.
        adc_um2_per_s: ADC over its voxels.
        dwi_to_muscle: High-b signal over the exam's own muscle, None when no muscle was found.
        fat_fraction: Median over its voxels, None without Dixon fat and water.
        reasons: Why it is not certain or thought benign, one sentence each.
        diameter_on: Sequence on which the diameters were measured; `grid` for the grid of the network.
        score: What the network says, before calibration; None where a reader drew it.
        focal_probability: Calibrated probability that it is a lesion of 5 mm or more; None where the
            network is not calibrated or a reader has accepted the lesion: its size decides then.
        level: Vertebra that holds most of it (`L2`), None away from the labelled spine.
        parts: Into how many parts its necks divide it; more than 1 may be lesions grown together.
        cross_section_share: Greatest share of a weight-bearing bone's axial cross-section that it fills.
        descriptors: What it looks like beyond the fields, in words; no reason for doubt.
    """

    id: int
    region: str | None
    kind: Kind
    status: Status
    certainty: Certainty
    suspected_benign: Benign | None
    probability: float
    volume_ml: float
    longest_diameter_mm: float
    diameter_uncertainty_mm: float
    perpendicular_diameter_mm: float
    centroid_ras_mm: tuple[float, float, float]
    adc_um2_per_s: AdcStatistics
    dwi_to_muscle: float | None
    fat_fraction: float | None
    reasons: tuple[str, ...] = ()
    diameter_on: str = "grid"
    score: float | None = None
    focal_probability: float | None = None
    level: str | None = None
    parts: int = 1
    cross_section_share: float | None = None
    descriptors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many lesions, as in `report.json` `counts`.

    Attributes:
        visible: Every lesion that no reader has rejected.
        active: Visible lesions whose ADC is that of viable disease.
        focal_5mm: Certain lesions of bone of 5 mm or more: the number that the staging rules use.
        equivocal: Visible lesions that are not certain.
        by_region: Visible lesions by region key; every region is named, lesions away from bone are in none.
    """

    visible: int
    active: int
    focal_5mm: int
    equivocal: int
    by_region: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Voxels by ADC.

    Attributes:
        edges_um2_per_s: Bin edges, one more than bins.
        counts: Voxels in each bin; the last bin also holds what lies above it.
    """

    edges_um2_per_s: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class BurdenAdc(AdcStatistics):
    """ADC over all lesion tissue, in um2/s, with its histogram."""

    histogram: Histogram | None = None


@dataclass(frozen=True, kw_only=True)
class RegionBurden:
    """Burden of one skeletal region; the ADC is the median over its lesion tissue, None without any."""

    tumour_volume_ml: float
    marrow_volume_ml: float
    marrow_fraction: float | None
    adc_median_um2_per_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class FatFraction:
    """Fat fraction of marrow and lesions, in [0, 1]; None where it was not measured."""

    marrow: float | None = None
    tumour: float | None = None


@dataclass(frozen=True, kw_only=True)
class Burden:
    """How much disease, as in `report.json` `burden`.

    Attributes:
        tumour_volume_ml: Volume of the lesions of bone and of what they extend beside it, rejected ones
            left out.
        marrow_volume_ml: Volume of the segmented skeleton (marrow with its thin cortex) and lesions in it.
        marrow_fraction: Part of that skeleton that is lesion, None without a skeleton.
        adc_um2_per_s: ADC over the tumour volume.
        by_region: One entry a region.
        extramedullary_volume_ml: Volume of what shines away from bone, apart because normal organs do too.
        marrow_adc_um2_per_s: ADC over the skeleton outside lesions.
        fat_fraction: Median over the skeleton outside lesions, and the mean over lesion tissue; None
            without Dixon fat and water.
    """

    tumour_volume_ml: float
    marrow_volume_ml: float
    marrow_fraction: float | None
    adc_um2_per_s: BurdenAdc
    by_region: Mapping[str, RegionBurden]
    extramedullary_volume_ml: float
    marrow_adc_um2_per_s: AdcStatistics
    fat_fraction: FatFraction = FatFraction()


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """How the marrow is infiltrated, as in `report.json` `pattern`.

    Attributes:
        label: Pattern from the lesions that are certain and the diffuse grade.
        diffuse_grade: None when neither T1 nor ADC of the vertebrae could be measured: not known.
        evidence: Every number that the label and grade rest on, and what is missing.
    """

    label: PatternLabel
    diffuse_grade: DiffuseGrade | None
    evidence: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something to look at first, as in `report.json` `alerts[]`."""

    code: str
    region: str | None
    text: str


@dataclass(frozen=True, kw_only=True)
class BiopsyCandidate:
    """A lesion worth considering for biopsy; the route is the team's decision."""

    lesion_id: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that was found in one exam, numbers and maps on one grid.

    Attributes:
        lesions: Sorted by id.
        counts: How many.
        burden: How much.
        pattern: How the marrow is infiltrated.
        alerts: What to look at first.
        biopsy_candidates: Best first.
        coverage: Region key to `complete`, `partial` or `absent`.
        lesion_labels: uint16 `(i, j, k)`, 0 or the lesion's id.
        regions: uint8 `(i, j, k)` of `Region` values, 0 outside the skeleton.
        lesion_probability: float32 `(i, j, k)` in [0, 1].
        adc: float32 `(i, j, k)` in um2/s, None when the exam has no ADC.
        grid: Shape and affine of the four maps.
        spine: Levels, collapses and what lies at the canal.
        doubt: How sure count and volume are.
        warnings: What a reader must know of how the findings were made.
    """

    lesions: tuple[Lesion, ...]
    counts: Counts
    burden: Burden
    pattern: Pattern
    alerts: tuple[Alert, ...]
    biopsy_candidates: tuple[BiopsyCandidate, ...]
    coverage: Mapping[str, Coverage]
    lesion_labels: npt.NDArray[np.uint16]
    regions: npt.NDArray[np.uint8]
    lesion_probability: Array3D
    adc: Array3D | None
    grid: Grid
    spine: SpineFindings
    doubt: Doubt
    warnings: tuple[ExamWarning, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse maps that do not share the grid.

        Raises:
            MaskError: If a map has another shape than the grid.
        """
        for name in ("lesion_labels", "regions", "lesion_probability", "adc"):
            found = getattr(self, name)
            if found is not None and found.shape != tuple(self.grid.shape):
                raise MaskError(f"{name} needs shape {self.grid.shape}, found {found.shape}")
