"""Which exams a run learns from, simulated and annotated ones, and how patches are drawn from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from marrowmap.data.errors import SettingsError
from marrowmap.data.seeds import (
    TRAINING_SEEDS,
    VALIDATION_SEEDS,
    require_training_seeds,
    require_validation_seeds,
)


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """Which exams are learned from, where they are kept and how patches are drawn.

    Attributes:
        exams: Number of simulated training exams.
        first_seed: Seed of the first one; the others count up.
        validation_exams: Number of simulated validation exams.
        first_validation_seed: Seed of the first one.
        cache: Folder that keeps prepared exams; about 100 MB an exam.
        mode: `fixed` prepares every exam before the first step and is deterministic; `growing` starts
            with `start_exams` and takes up new ones as they arrive, so its patches depend on the clock.
        start_exams: Exams that `growing` waits for.
        workers: Processes that simulate; 0 simulates in the training process (`fixed` only).
        patch_size: Voxels of a patch along `(i, j, k)`; long along the spine.
        near_lesion: Fraction of patches around a voxel of a lesion, each lesion equally likely; at 0.5 every
            second one.
        on_skeleton: Fraction around any voxel of the skeleton; the rest is anywhere in the body.
        smallest_lesion_mm: Lesions below this longest diameter are neither right nor wrong: they are no
            focal lesions by definition, and one or two voxels cannot be told from noise.
        small_lesion_power: How much more a voxel of a small lesion counts in the cross-entropy: a lesion of n
            voxels weighs as n to the power of 1 less this (`stream.lesion_weights`). With 0, one large lesion
            outweighs a hundred small ones, and those of ribs, a few voxels each, are never learned.
        annotated: Folder of own annotated exams, ours, BIDS or nnU-Net raw (docs/own_data.md), or None.
        annotated_weight: How often patches come from them, against `simulated_weight`.
        simulated_weight: How often patches come from simulated exams where there are own ones too; with 0
            none is simulated.
        folds: Parts that the patients of `annotated` are split into.
        fold: Part that is held out for validation, counted from 0; None trains on all of them.
    """

    exams: int = 560
    first_seed: int = TRAINING_SEEDS.start
    validation_exams: int = 6
    first_validation_seed: int = VALIDATION_SEEDS.start
    cache: Path = Path(".cache/simulated")
    mode: Literal["fixed", "growing"] = "fixed"
    start_exams: int = 8
    workers: int = 1
    patch_size: tuple[int, int, int] = (64, 64, 96)
    near_lesion: float = 0.5
    on_skeleton: float = 0.35
    smallest_lesion_mm: float = 5.0
    small_lesion_power: float = 0.5
    annotated: Path | None = None
    annotated_weight: float = 1.0
    simulated_weight: float = 1.0
    folds: int = 5
    fold: int | None = 0

    def __post_init__(self) -> None:
        """Refuse seeds of another set and fractions that do not add up.

        Raises:
            SeedError: If a training or validation seed lies outside its set.
            SettingsError: If a number is out of its range.
        """
        require_training_seeds(self.training_seeds)
        require_validation_seeds(self.validation_seeds)
        require(self.exams >= 1, f"exams needs 1 or more, found {self.exams}")
        require(self.workers >= 0, f"workers needs 0 or more, found {self.workers}")
        is_fraction = (
            min(self.near_lesion, self.on_skeleton) >= 0 and self.near_lesion + self.on_skeleton <= 1
        )
        require(is_fraction, "near_lesion and on_skeleton need fractions that sum to 1 or less; lower one")
        require(
            self.mode == "fixed" or self.workers >= 1,
            "mode growing needs workers of 1 or more, found 0; set workers or use mode fixed",
        )
        require(
            0 <= self.small_lesion_power <= 1,
            f"small_lesion_power needs 0 to 1, found {self.small_lesion_power:g}",
        )
        self._refuse_mixture()

    def _refuse_mixture(self) -> None:
        weights = self.annotated_weight, self.simulated_weight
        require(
            min(weights) >= 0 and (self.annotated is None or self.annotated_weight > 0),
            "annotated_weight needs to be positive and simulated_weight 0 or more; found "
            f"{weights[0]:g} and {weights[1]:g}",
        )
        require(self.folds >= 2, f"folds needs 2 or more, found {self.folds}")
        require(
            self.fold is None or 0 <= self.fold < self.folds,
            f"fold needs 0 to {self.folds - 1}, or null to hold nobody out; found {self.fold}",
        )
        require(
            self.mode == "fixed" or self.uses_simulated,
            "mode growing needs simulated exams, found simulated_weight 0; use mode fixed",
        )

    @property
    def uses_simulated(self) -> bool:
        """Whether simulated exams are learned from at all."""
        return self.annotated is None or self.simulated_weight > 0

    @property
    def holds_out(self) -> bool:
        """Whether any exam, simulated or annotated, is kept for validation."""
        return len(self.validation_seeds) > 0 or (self.annotated is not None and self.fold is not None)

    @property
    def annotated_share(self) -> float:
        """Fraction of patches that come from annotated exams."""
        if self.annotated is None:
            return 0.0
        return self.annotated_weight / (self.annotated_weight + self.simulated_weight)

    @property
    def training_seeds(self) -> range:
        """Seeds of the simulated training exams."""
        return range(self.first_seed, self.first_seed + self.exams * self.uses_simulated)

    @property
    def validation_seeds(self) -> range:
        """Seeds of the simulated validation exams."""
        count = self.validation_exams * self.uses_simulated
        return range(self.first_validation_seed, self.first_validation_seed + count)


def require(is_met: bool, message: str) -> None:
    """Refuse settings that cannot work.

    Raises:
        SettingsError: With the message, unless the condition is met.
    """
    if not is_met:
        raise SettingsError(message)
