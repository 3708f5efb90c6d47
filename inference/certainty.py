"""When a lesion is certain, and what its ADC says of its viability."""

from __future__ import annotations

import math
from dataclasses import dataclass

from marrowmap.data.errors import SettingsError
from marrowmap.inference.findings import Certainty, Status

#: Diameter from which a lesion counts as focal. Papers write both > 5 mm and >= 5 mm; here 5.0 mm counts.
#: Source: Rajkumar, Lancet Oncol 2014;15:e538, doi:10.1016/S1470-2045(14)70442-5.
FOCAL_DIAMETER_MM = 5.0


@dataclass(frozen=True, kw_only=True)
class CertaintySettings:
    """What makes a lesion equivocal, and the ADC bands of viability.

    Attributes:
        certain_probability: A less probable lesion is equivocal.
        dwi_to_marrow: A lesion of viable ADC that is not this much brighter on high-b diffusion than the
            person's own marrow is equivocal: red marrow is brighter than muscle in healthy people too.
        viable_adc_um2_per_s: ADC of viable disease. Source: Messiou, Radiology 2019;291:5,
            doi:10.1148/radiol.2019181949.
        treated_adc_um2_per_s: Above it lesions are taken as treated. Source: Padhani, Eur Urol
            2017;71:81, doi:10.1016/j.eururo.2016.05.033.
    """

    certain_probability: float = 0.7
    dwi_to_marrow: float = 1.2
    viable_adc_um2_per_s: tuple[float, float] = (600.0, 1000.0)
    treated_adc_um2_per_s: float = 1400.0

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other.

        Raises:
            SettingsError: If the probability is not in [0, 1] or the ADC bands are not in order.
        """
        if not 0.0 <= self.certain_probability <= 1.0:
            raise SettingsError(f"need a certain_probability of 0 to 1, found {self.certain_probability}")
        low, high = self.viable_adc_um2_per_s
        if not 0.0 < low < high <= self.treated_adc_um2_per_s:
            raise SettingsError(
                f"need viable ADC below treated ADC, found {low} to {high} and {self.treated_adc_um2_per_s}"
            )


def status_of(adc_median_um2_per_s: float | None, settings: CertaintySettings) -> Status:
    """Return what the ADC says of viability; between and below the bands it says nothing.

    Low ADC is not viable disease by itself: fatty marrow lies at 300-450 um2/s, and a lesion that
    becomes fat again falls back to it.
    """
    low, high = settings.viable_adc_um2_per_s
    if adc_median_um2_per_s is None:
        return "indeterminate"
    if low <= adc_median_um2_per_s <= high:
        return "active"
    return "treated" if adc_median_um2_per_s > settings.treated_adc_um2_per_s else "indeterminate"


def reasons_for_doubt(
    *,
    probability: float,
    diameter_mm: float,
    diameter_uncertainty_mm: float,
    away_mm: float | None,
    benign_reason: str,
    dwi_to_marrow: float | None,
    status: Status,
    settings: CertaintySettings,
) -> tuple[str, ...]:
    """Return one sentence for each reason why a lesion is equivocal; none for a certain lesion.

    Args:
        probability: That it is a lesion.
        diameter_mm: Longest diameter.
        diameter_uncertainty_mm: About one voxel.
        away_mm: Distance from the skeleton of a lesion away from bone (infinite without any skeleton
            found), None for a lesion of bone.
        benign_reason: Why it may be benign, empty for a lesion without a benign look.
        dwi_to_marrow: High-b signal over the marrow of its region, None when not measured.
        status: Viability by ADC; a treated lesion need not be bright on diffusion.
        settings: The limits.
    """
    reasons = []
    if probability < settings.certain_probability:
        reasons.append(f"probability {probability:.2f} is below {settings.certain_probability:.2f}")
    if abs(diameter_mm - FOCAL_DIAMETER_MM) <= diameter_uncertainty_mm:
        reasons.append(
            f"{diameter_mm:.1f} mm is within {diameter_uncertainty_mm:.1f} mm (one voxel) of the 5 mm limit"
        )
    if away_mm is not None:
        where = f"{away_mm:.0f} mm from the skeleton" if math.isfinite(away_mm) else "no skeleton was found"
        reasons.append(f"{where}: normal organs shine on diffusion too")
    if benign_reason:
        reasons.append(f"may be benign: {benign_reason}")
    if dwi_to_marrow is not None and dwi_to_marrow < settings.dwi_to_marrow and status != "treated":
        reasons.append(f"only {dwi_to_marrow:.1f} times as bright on high-b diffusion as the marrow around")
    return tuple(reasons)


def certainty_of(reasons: tuple[str, ...]) -> Certainty:
    """Return `certain` without a reason for doubt."""
    return "equivocal" if reasons else "certain"
