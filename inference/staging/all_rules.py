"""Every rule at once, in the order of the report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging.counting import COUNTING, CountingSettings
from marrowmap.inference.staging.durie_salmon import stage_durie_salmon
from marrowmap.inference.staging.durie_salmon_plus import stage_durie_salmon_plus
from marrowmap.inference.staging.imaging import ImagingFindings
from marrowmap.inference.staging.imwg_2014 import stage_imwg_2014
from marrowmap.inference.staging.imwg_mri import stage_imwg_mri
from marrowmap.inference.staging.iss import stage_iss
from marrowmap.inference.staging.lecouvet import stage_lecouvet
from marrowmap.inference.staging.met_rads import stage_met_rads_p
from marrowmap.inference.staging.my_rads import stage_my_rads
from marrowmap.inference.staging.r2_iss import stage_r2_iss
from marrowmap.inference.staging.r_iss import stage_r_iss
from marrowmap.inference.staging.rasche import stage_rasche
from marrowmap.inference.staging.result import StageResult
from marrowmap.inference.staging.smm_20_2_20 import HIGH_RISK_FISH, stage_smm_20_2_20
from marrowmap.inference.staging.smm_imwg_points import stage_smm_imwg_points
from marrowmap.inference.staging.walker import stage_walker

NOT_SMOULDERING = "for smouldering myeloma only, and the 2014 criteria say {value}"
OTHER_PRIMARY = "a primary cancer is stated: the lesions may be metastases, and this rule is for myeloma"
MYELOMA_IMAGING_RULES = (
    "durie_salmon_plus",
    "imwg_2014",
    "imwg_mri_mde",
    "walker_7_lesions",
    "rasche_large_lesions",
    "lecouvet_pattern",
)


@dataclass(frozen=True, kw_only=True)
class StagingSettings:
    """Choices that the literature leaves open.

    Attributes:
        counting: What counts as a focal lesion.
        smm_high_risk_fish: Abnormalities of high risk in smouldering myeloma; the lists in print differ.
        lecouvet_at_ten: Pattern of exactly 10 vertebral lesions, which the paper does not place.
    """

    counting: CountingSettings = COUNTING
    smm_high_risk_fish: tuple[str, ...] = HIGH_RISK_FISH
    lecouvet_at_ten: Literal["B", "C"] = "C"


STAGING = StagingSettings()


def stage_all(
    imaging: ImagingFindings, clinical: ClinicalInput, settings: StagingSettings = STAGING
) -> dict[str, StageResult]:
    """Return what every rule says, by its key in `staging` of `report.json`.

    Args:
        imaging: What the images showed.
        clinical: What the clinic knows; `ClinicalInput()` for nothing.
        settings: Choices that the literature leaves open.
    """
    counting, fish = settings.counting, settings.smm_high_risk_fish
    imwg = stage_imwg_2014(imaging, clinical, counting)
    results = {
        "durie_salmon": stage_durie_salmon(clinical),
        "durie_salmon_plus": stage_durie_salmon_plus(imaging, clinical, counting),
        "iss": stage_iss(clinical),
        "r_iss": stage_r_iss(clinical),
        "r2_iss": stage_r2_iss(clinical),
        "imwg_2014": imwg,
        "imwg_mri_mde": stage_imwg_mri(imaging, counting),
        "smm_20_2_20": _if_smouldering(stage_smm_20_2_20(clinical, fish), imwg),
        "smm_imwg_points": _if_smouldering(stage_smm_imwg_points(clinical, fish), imwg),
        "walker_7_lesions": stage_walker(imaging, counting),
        "rasche_large_lesions": stage_rasche(imaging, counting),
        "lecouvet_pattern": stage_lecouvet(imaging, counting, at_ten=settings.lecouvet_at_ten),
        "met_rads_p": stage_met_rads_p(imaging, clinical, counting),
        "my_rads": stage_my_rads(imaging, counting),
    }
    if clinical.primary_cancer:
        for key in MYELOMA_IMAGING_RULES:
            results[key] = replace(results[key], warnings=(*results[key].warnings, OTHER_PRIMARY))
    return results


def _if_smouldering(result: StageResult, imwg: StageResult) -> StageResult:
    """Return the risk, or that it does not apply because the disease is known to be another.

    What would be said is not shown then: a risk of progression to a disease that is there misleads.
    """
    if "smouldering" in imwg.candidates:
        return result
    reason = NOT_SMOULDERING.format(value=" or ".join(map(str, imwg.candidates)).replace("_", " "))
    return replace(result, value=None, status="not_applicable", candidates=(), warnings=(reason,), extras={})
