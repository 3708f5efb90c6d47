"""How disease is drawn: what is asked for by name, and the numbers behind what is left to chance."""

from __future__ import annotations

from dataclasses import dataclass

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.truth import DiffuseGrade, LesionKind


@dataclass(frozen=True, kw_only=True)
class DiseaseSettings:
    """How disease is drawn.

    Attributes:
        median_diameter_mm: Of focal lesions; fit of the published sizes.
        log_sigma: Spread of the logarithm of the diameter.
        smallest_diameter_mm: Floor of focal lesions.
        largest_diameter_mm: Ceiling, in mm.
        focal_count: Fewest and most focal lesions, drawn log-uniformly.
        micronodule_count: Fewest and most micronodules, drawn log-uniformly.
        treated_patients: Share of people with focal lesions who are under treatment.
        mimics_mean: Mean number of benign look-alikes in an exam.
        lesion_kind: Every focal lesion is of this kind; None draws.
        diffuse_grade: Of diffuse and mixed patterns; None draws.
        hyperplasia: Whether red marrow is increased; None draws.
        touching_share: Share of focal lesions that begin at the edge of the one before.
        breach_share: Share of lesions of 10 mm or more that grow through the cortex.
        paramedullary_share: Share of breaching lesions of 14 mm or more that grow into soft tissue.
        epidural_share: Share of vertebral lesions of 12 mm or more that grow into the spinal canal.
        extramedullary_share: Share of people with focal lesions who have masses apart from bone.
        mimics: Kinds of benign look-alikes (`mimics.MIMICS`), one finding each; None draws `mimics_mean`.
    """

    median_diameter_mm: float = 11.0
    log_sigma: float = 0.5
    smallest_diameter_mm: float = 4.0
    largest_diameter_mm: float = 70.0
    focal_count: tuple[int, int] = (1, 40)
    micronodule_count: tuple[int, int] = (40, 250)
    treated_patients: float = 0.15
    mimics_mean: float = 2.5
    lesion_kind: LesionKind | None = None
    diffuse_grade: DiffuseGrade | None = None
    hyperplasia: bool | None = None
    touching_share: float = 0.08
    breach_share: float = 0.3
    paramedullary_share: float = 0.4
    epidural_share: float = 0.06
    extramedullary_share: float = 0.06
    mimics: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse impossible settings.

        Raises:
            SettingsError: If sizes or counts are not in order, or a share is none.
        """
        if not 0 < self.smallest_diameter_mm <= self.median_diameter_mm <= self.largest_diameter_mm:
            raise SettingsError(
                "lesion diameters need 0 < smallest <= median <= largest; correct the settings"
            )
        for fewest, most in (self.focal_count, self.micronodule_count):
            if not 1 <= fewest <= most:
                raise SettingsError(f"lesion counts need 1 <= fewest <= most, found {fewest} and {most}")
        for name in ("touching", "breach", "paramedullary", "epidural", "extramedullary"):
            share = getattr(self, f"{name}_share")
            if not 0 <= share <= 1:
                raise SettingsError(f"{name}_share needs 0 to 1, found {share:g}; correct the settings")
