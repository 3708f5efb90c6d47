"""MET-RADS-P: the parts that could be verified."""

from __future__ import annotations

from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging.counting import COUNTING, CountingSettings, count_focal
from marrowmap.inference.staging.descriptors import region_descriptor
from marrowmap.inference.staging.imaging import ImagingFindings
from marrowmap.inference.staging.result import Rule, StageResult

MET_RADS_P = Rule(
    key="met_rads_p",
    source="Padhani, Eur Urol 2017;71:81, doi:10.1016/j.eururo.2016.05.033",
    values=(),
)
TWO_EXAMS = (
    "MET-RADS-P grades the change between two exams (response categories 1 to 5); compare two exams for them"
)
OTHER_CANCER = "MET-RADS-P is for prostate cancer, and the primary stated is another"
NO_PRIMARY = "MET-RADS-P is for prostate cancer, and no primary cancer was stated"


def stage_met_rads_p(
    imaging: ImagingFindings, clinical: ClinicalInput, settings: CountingSettings = COUNTING
) -> StageResult:
    """Return the lesions by region for a known prostate cancer; one exam has no category.

    The 14 regions of the paper include nodes and organs, which are not looked at here.

    Source: Padhani, Eur Urol 2017;71:81, doi:10.1016/j.eururo.2016.05.033; the bone column of the
    response table was read for categories 1 to 4.
    """
    primary = clinical.primary_cancer
    is_prostate = primary is not None and "prostat" in primary.lower()
    reason = TWO_EXAMS if is_prostate else OTHER_CANCER if primary else NO_PRIMARY
    return MET_RADS_P.not_applicable(
        reason,
        inputs={"primary_cancer": primary, "focal_lesions": count_focal(imaging, settings).sure},
        extras={"regions": region_descriptor(imaging, settings)} if is_prostate else {},
    )
