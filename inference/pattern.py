"""How the marrow is infiltrated: normal, focal, diffuse, both, or micronodular.

Label: Messiou, Radiology 2019;291:5, doi:10.1148/radiol.2019181949. Diffuse grade on T1: Durie, Eur J
Cancer 2006;42:1539, doi:10.1016/j.ejca.2005.11.037 (mild: micronodular; moderate: T1 below normal marrow,
contrast with the disc kept; severe: T1 below the disc). No cut-offs are published; these are settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from marrowmap.inference.certainty import FOCAL_DIAMETER_MM
from marrowmap.inference.findings import DiffuseGrade, Lesion, Pattern, PatternLabel
from marrowmap.inference.vertebrae import Vertebra


@dataclass(frozen=True, kw_only=True)
class PatternSettings:
    """The cut-offs of the diffuse grade and of the micronodular pattern.

    Attributes:
        severe_t1_to_disc: A vertebra darker on T1 than this many discs is severely infiltrated ...
        severe_share: ... and the marrow is when this share of the measured vertebrae is.
        certain_adc_um2_per_s: Vertebral ADC above it is diffuse infiltration (0.655 told disease from normal
            marrow: sensitivity 90 %, specificity 93 %). Source: Messiou, Eur Radiol 2011, PubMed 21472473.
        moderate_adc_um2_per_s: Above this lower limit it is (0.548 told diffuse from normal patterns:
            sensitivity 100 %, specificity 98 %; Koutoulidis, Radiology 2017, PubMed 27610934) ...
        moderate_dwi_to_muscle: ... if the vertebrae shine this much on high-b diffusion: midway between
            healthy marrow (3.2, SD 0.9; PMC8161193) and diffuse infiltration (about 5.6 by signal model).
        moderate_fat_fraction: Vertebral fat fraction below it is diffuse infiltration. None: not used,
            because the limit belongs to a site, sequence, age and sex.
        minimum_vertebrae: Fewer measured vertebrae give no grade.
        minimum_with_disc: Fewer vertebrae beside a thick disc give no severe grade.
        micronodular_count: So many nodules of 5 mm or less make the pattern micronodular ...
        micronodular_per_focal: ... if there are this many for every certain focal lesion.
    """

    severe_t1_to_disc: float = 1.0
    severe_share: float = 2 / 3
    certain_adc_um2_per_s: float = 655.0
    moderate_adc_um2_per_s: float = 550.0
    moderate_dwi_to_muscle: float = 4.4
    moderate_fat_fraction: float | None = None
    minimum_vertebrae: int = 3
    minimum_with_disc: int = 2
    micronodular_count: int = 10
    micronodular_per_focal: int = 4


def describe_pattern(
    lesions: Sequence[Lesion], vertebrae: Sequence[Vertebra], settings: PatternSettings | None = None
) -> Pattern:
    """Return label, diffuse grade and the numbers behind them.

    Args:
        lesions: All lesions; rejected ones and benign look-alikes do not count.
        vertebrae: Measured vertebral bodies, empty when none could be measured.
        settings: The cut-offs.

    Returns:
        A grade of None when it is not known; the evidence then says what is missing.
    """
    settings = settings or PatternSettings()
    evidence = diffuse_evidence(vertebrae, settings)
    return pattern_from_evidence(lesions, evidence, settings)


def pattern_from_evidence(
    lesions: Sequence[Lesion], evidence: dict[str, Any], settings: PatternSettings | None = None
) -> Pattern:
    """Return the pattern from measured evidence, as after a reader has rejected lesions.

    Args:
        lesions: All lesions.
        evidence: What `diffuse_evidence` returned, read back from a report or not.
        settings: The cut-offs.
    """
    settings = settings or PatternSettings()
    counted = [lesion for lesion in lesions if _counts(lesion)]
    focal = [lesion for lesion in counted if lesion.longest_diameter_mm >= FOCAL_DIAMETER_MM]
    certain = sum(lesion.certainty == "certain" for lesion in focal)
    nodules = sum(_may_be_nodule(lesion) for lesion in counted)
    is_micronodular = nodules >= max(settings.micronodular_count, settings.micronodular_per_focal * certain)
    grade = _with_micronodules(evidence["vertebral_grade"], is_micronodular)
    evidence = {
        **evidence,
        "focal_certain": certain,
        "focal_equivocal": len(focal) - certain,
        "nodules_of_5_mm_or_less": nodules,
        "label_if_equivocal_count": pattern_label(len(focal), grade, is_micronodular),
    }
    label = pattern_label(certain, grade, is_micronodular)
    return Pattern(label=label, diffuse_grade=grade, evidence=evidence)


def pattern_label(focal_count: int, grade: DiffuseGrade | None, is_micronodular: bool) -> PatternLabel:
    """Return the label for a number of focal lesions and a diffuse grade.

    Diffuse means moderate or severe; a mild grade is the micronodular pattern under another name.
    """
    is_diffuse = grade in ("moderate", "severe")
    if is_micronodular and not is_diffuse:
        return "micronodular"
    if focal_count:
        return "focal_on_diffuse" if is_diffuse else "focal"
    return "diffuse" if is_diffuse else "normal"


def diffuse_evidence(vertebrae: Sequence[Vertebra], settings: PatternSettings) -> dict[str, Any]:
    """Return the medians over the vertebrae, the grade they give, and what is missing."""
    t1_to_disc = _known(vertebra.t1_to_disc for vertebra in vertebrae)
    below = sum(value < settings.severe_t1_to_disc for value in t1_to_disc)
    evidence: dict[str, Any] = {
        "vertebrae_measured": len(vertebrae),
        "vertebrae_with_disc": len(t1_to_disc),
        "vertebrae_t1_below_disc": below,
        "vertebral_lesion_share": _median(vertebra.lesion_share for vertebra in vertebrae),
        "r_disc": _median(t1_to_disc),
        "r_muscle": _median(vertebra.t1_to_muscle for vertebra in vertebrae),
        "adc_um2_per_s": _median(vertebra.adc_um2_per_s for vertebra in vertebrae),
        "fat_fraction": _median(vertebra.fat_fraction for vertebra in vertebrae),
        "dwi_to_muscle": _median(vertebra.dwi_to_muscle for vertebra in vertebrae),
        "t1_variation": _median(vertebra.t1_variation for vertebra in vertebrae),
    }
    evidence["missing"] = _missing(evidence, settings)
    evidence["vertebral_grade"] = _vertebral_grade(evidence, settings)
    return evidence


def _vertebral_grade(evidence: dict[str, Any], settings: PatternSettings) -> DiffuseGrade | None:
    """Return the grade that T1, ADC, diffusion and fat give; None when nothing could be measured."""
    if evidence["vertebrae_measured"] < settings.minimum_vertebrae:
        return None
    with_disc, muscle = evidence["vertebrae_with_disc"], evidence["r_muscle"]
    has_disc = with_disc >= settings.minimum_with_disc
    if has_disc and evidence["vertebrae_t1_below_disc"] >= settings.severe_share * with_disc:
        is_below_muscle = muscle is None or muscle < 1.0
        return "severe" if is_below_muscle else "moderate"
    if _is_moderate(evidence, settings):
        return "moderate"
    return None if evidence["adc_um2_per_s"] is None and not has_disc else "none"


def _is_moderate(evidence: dict[str, Any], settings: PatternSettings) -> bool:
    """Say whether ADC (near its limit only with bright diffusion) or the site's fat limit say disease."""
    adc, dwi, fat = evidence["adc_um2_per_s"], evidence["dwi_to_muscle"], evidence["fat_fraction"]
    limit = settings.moderate_fat_fraction
    if fat is not None and limit is not None and fat < limit:
        return True
    if adc is None or adc <= settings.moderate_adc_um2_per_s:
        return False
    # Very high ADC dims even infiltrated marrow on high-b diffusion: only near the limit must it be bright.
    is_bright = dwi is None or dwi >= settings.moderate_dwi_to_muscle
    return is_bright or adc > settings.certain_adc_um2_per_s


def _missing(evidence: dict[str, Any], settings: PatternSettings) -> list[str]:
    """Return what the grade would also have needed, one sentence each."""
    missing = []
    needed, found = settings.minimum_vertebrae, evidence["vertebrae_measured"]
    if found < needed:
        missing.append(f"{needed} vertebral bodies of the thoracic and lumbar spine, found {found}")
    if evidence["vertebrae_with_disc"] < settings.minimum_with_disc:
        missing.append("T1 of vertebral bodies beside thick discs: a severe grade can be missed")
    if evidence["adc_um2_per_s"] is None:
        missing.append("ADC of the vertebral bodies: a moderate grade can be missed")
    if evidence["fat_fraction"] is None:
        missing.append("fat fraction (Dixon fat and water)")
    return missing


def _with_micronodules(grade: DiffuseGrade | None, is_micronodular: bool) -> DiffuseGrade | None:
    return "mild" if is_micronodular and grade in (None, "none") else grade


def _counts(lesion: Lesion) -> bool:
    is_kept = lesion.certainty != "rejected" and lesion.suspected_benign is None
    return is_kept and lesion.kind != "extramedullary"


def _may_be_nodule(lesion: Lesion) -> bool:
    """Say whether a lesion may measure 5 mm or less: on a grid of 2.5 mm two voxels in a row are 5 mm."""
    uncertain = lesion.longest_diameter_mm - lesion.diameter_uncertainty_mm
    return lesion.longest_diameter_mm < FOCAL_DIAMETER_MM or (
        lesion.certainty == "equivocal" and uncertain <= FOCAL_DIAMETER_MM
    )


def _known(values: Any) -> list[float]:
    return [value for value in values if value is not None]


def _median(values: Any) -> float | None:
    known = _known(values)
    return float(median(known)) if known else None
