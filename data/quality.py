"""What a reader must know of an exam before believing it: coded warnings."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as ListOf

import numpy as np

from marrowmap.data.adc import MINIMUM_B_DIFFERENCE, adc_from_b_values
from marrowmap.data.exam import ExamWarning, Sequence, StudyInfo, Volume
from marrowmap.data.grid import Grid
from marrowmap.data.image_quality import image_warnings
from marrowmap.data.levels import outline_of
from marrowmap.data.metal import metal_warnings
from marrowmap.data.placement import share_grid
from marrowmap.data.silhouette import coverage_warnings

#: From vertex to mid-thigh a small adult measures about 1,000 mm; less is not the whole body.
WHOLE_BODY_MM = 900.0
#: A scanner's ADC that differs from the b-values by more than this is worth a warning (ratio of medians).
ADC_DISAGREEMENT = 0.10
#: Slices thicker than this hide a 5 mm lesion (mm).
THICK_SLICE_MM = 8.0
#: Every third voxel along each axis is enough for a median.
_STRIDE = 3


def quality_warnings(volumes: Mapping[Sequence, Volume], study: StudyInfo) -> list[ExamWarning]:
    """Return what is missing, short, thick or unusual in an exam.

    Args:
        volumes: The composed volumes by sequence.
        study: Where they came from.

    Returns:
        Coded warnings, empty when nothing is to be said.
    """
    silhouette = outline_of(volumes, study.stature_m)
    has_crown = silhouette is not None and silhouette.head == "complete"
    return [
        *_missing(volumes),
        *_coverage(volumes),
        *(coverage_warnings(silhouette) if silhouette is not None else ()),
        *_thick_slices(volumes),
        *_person(study),
        *_signal(volumes),
        *image_warnings(volumes),
        *metal_warnings(volumes, study.stature_m, has_crown=has_crown),
    ]


def adc_disagreement(maps: ListOf[Volume], by_b: Mapping[float, list[Volume]]) -> list[ExamWarning]:
    """Compare the scanner's ADC with the b-values, station by station.

    Args:
        maps: The scanner's ADC stations, um2/s.
        by_b: Diffusion stations by b-value (s/mm2), not equalised.

    Returns:
        One warning with the size of the disagreement, or none.
    """
    ratios = []
    for adc in maps:
        here = [v for candidates in by_b.values() for v in candidates if share_grid(adc, v)]
        b_values = [v.b_value_s_per_mm2 or 0.0 for v in here]
        if len(here) >= 2 and max(b_values) - min(b_values) >= MINIMUM_B_DIFFERENCE:
            ratios.append(_adc_ratio(adc, here))
    ratio = float(np.nanmedian(ratios)) if ratios and not np.all(np.isnan(ratios)) else 1.0
    if abs(ratio - 1) <= ADC_DISAGREEMENT:
        return []
    text = f"the scanner's ADC is {ratio:.2f} times the ADC of the b-values; check its unit and b-values"
    return [ExamWarning(code="adc_disagrees", text=text)]


def _adc_ratio(adc: Volume, b_volumes: list[Volume]) -> float:
    """Return the scanner's ADC over ours, median where the highest b stands well above the noise."""
    thin = [
        Volume(
            array=v.array[::_STRIDE, ::_STRIDE, ::_STRIDE],
            affine_ras_mm=v.affine_ras_mm,
            b_value_s_per_mm2=v.b_value_s_per_mm2,
        )
        for v in b_volumes
    ]
    highest = max(thin, key=lambda v: v.b_value_s_per_mm2 or 0.0).array
    ours = adc_from_b_values(thin).array
    theirs = adc.array[::_STRIDE, ::_STRIDE, ::_STRIDE]
    usable = (highest >= np.percentile(highest, 80)) & (highest > 0) & (ours > 100) & (theirs > 100)
    return float(np.median(theirs[usable] / ours[usable])) if np.count_nonzero(usable) > 50 else float("nan")


def frame_warnings(frames: Mapping[Sequence, ListOf[str]]) -> list[ExamWarning]:
    """Return a warning where stations or sequences name different frames of reference.

    Args:
        frames: Frame of Reference UIDs by sequence, empty strings where unknown.
    """
    known = {frame for uids in frames.values() for frame in uids if frame}
    if len(known) < 2:
        return []
    inside = [str(s) for s, uids in frames.items() if len({u for u in uids if u}) > 1]
    where = f"within {', '.join(inside)}" if inside else "between sequences"
    text = (
        f"{len(known)} frames of reference {where}: positions were trusted as they are; check the alignment"
    )
    return [ExamWarning(code="frames_of_reference_differ", text=text)]


def _missing(volumes: Mapping[Sequence, Volume]) -> list[ExamWarning]:
    """Return one warning per wanted sequence that is absent without a stand-in."""
    wanted = {
        "missing_t1": ("T1 (or Dixon in-phase)", {Sequence.T1, Sequence.DIXON_IN}),
        "missing_stir": ("STIR (or fat-suppressed T2)", {Sequence.STIR, Sequence.T2}),
        "missing_dixon": (
            "a Dixon fat and water pair (fat fraction)",
            {Sequence.FAT_FRACTION, Sequence.DIXON_FAT},
        ),
        "missing_dwi_low": ("low-b diffusion (50 to 100 s/mm2)", {Sequence.DWI_LOW}),
        "missing_adc": ("ADC, nor b-values to compute it", {Sequence.ADC}),
    }
    warnings = [
        ExamWarning(code=code, text=f"no {name}; what depends on it is less certain")
        for code, (name, any_of) in wanted.items()
        if not any_of & set(volumes)
    ]
    if Sequence.DIXON_FAT in volumes and not {Sequence.DIXON_WATER, Sequence.FAT_FRACTION} & set(volumes):
        text = "Dixon fat without Dixon water; no fat fraction can be computed"
        warnings.append(ExamWarning(code="missing_dixon", text=text))
    if Sequence.ADC in volumes and volumes[Sequence.ADC].is_computed:
        warnings.append(
            ExamWarning(code="adc_computed", text="no ADC from the scanner; computed from the b-values")
        )
    return warnings


def _grid(volume: Volume) -> Grid:
    return Grid(shape=volume.shape, affine_ras_mm=volume.affine_ras_mm)


def _coverage(volumes: Mapping[Sequence, Volume]) -> list[ExamWarning]:
    """Return warnings where diffusion is not whole-body or another sequence covers less than diffusion."""
    if Sequence.DWI_HIGH not in volumes:
        return []
    low, high = _grid(volumes[Sequence.DWI_HIGH]).extent_z_mm
    warnings = []
    if high - low < WHOLE_BODY_MM:
        text = f"diffusion covers {high - low:.0f} mm from head to foot, not the whole body"
        warnings.append(ExamWarning(code="coverage_short", text=text))
    for sequence, volume in volumes.items():
        bottom, top = _grid(volume).extent_z_mm
        shared = min(high, top) - max(low, bottom)
        if shared < 0.9 * (high - low):
            part = max(shared, 0.0) / (high - low)
            text = f"{sequence} covers {100 * part:.0f} % of the length that diffusion covers"
            warnings.append(ExamWarning(code=f"partial_{sequence}", text=text))
    return warnings


def _thick_slices(volumes: Mapping[Sequence, Volume]) -> list[ExamWarning]:
    """Return a warning for every sequence whose slices hide small lesions."""
    return [
        ExamWarning(code="thick_slices", text=f"{s} has slices {max(v.spacing_mm):.1f} mm apart")
        for s, v in volumes.items()
        if max(v.spacing_mm) > THICK_SLICE_MM
    ]


def _person(study: StudyInfo) -> list[ExamWarning]:
    """Return a warning for a child: red marrow and open physes are not what was learned."""
    age = study.patient_age_years
    if age is None or age >= 18:
        return []
    return [ExamWarning(code="child", text="the person is younger than 18; marrow figures are for adults")]


def _signal(volumes: Mapping[Sequence, Volume]) -> list[ExamWarning]:
    """Return a warning for every volume that holds nothing."""
    return [
        ExamWarning(code="empty_volume", text=f"{sequence} holds a single value; nothing can be seen in it")
        for sequence, volume in volumes.items()
        if float(np.ptp(volume.array[::_STRIDE, ::_STRIDE, ::_STRIDE])) == 0.0
    ]
