"""What an evaluation leaves open: the empty case, the surface's tolerance, the resamples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from marrowmap.data.errors import SettingsError

EmptyCase = Literal["leave_out", "one"]

FOCAL_MM = 5.0
LARGE_MM = 10.0
#: Radiologist against radiologist, whole-body diffusion MRI of real people with myeloma.
HUMAN_LESION_DICE = 0.32


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How predictions are held against references; recorded in every result.

    Attributes:
        empty_case: What the Dice and surface Dice of an exam without reference lesion is: `leave_out` of
            the mean, or `one` when nothing was predicted either and 0 otherwise.
        surface_tolerance_mm: Two outlines this far apart still agree; about a voxel of the working grid.
        resamples: Bootstrap samples of exams behind every interval.
        seed: Of the resampling.
        level: Of every interval, 0 to 1.
    """

    empty_case: EmptyCase = "leave_out"
    surface_tolerance_mm: float = 2.5
    resamples: int = 1000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        """Refuse what gives no figure.

        Raises:
            SettingsError: If the tolerance or a level is out of its range, or there are too few resamples.
        """
        if self.surface_tolerance_mm < 0:
            raise SettingsError(
                f"need a surface_tolerance_mm of 0 or more, found {self.surface_tolerance_mm}"
            )
        if not 0.5 <= self.level < 1:
            raise SettingsError(f"need a level of 0.5 to below 1, found {self.level}")
        if self.resamples < 100:
            raise SettingsError(f"need 100 resamples or more for an interval, found {self.resamples}")
