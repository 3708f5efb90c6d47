"""What a training run is: one typed value, from YAML and the command line, written whole into the run.

`marrowmap train --help` prints every field. Units are in the names; a field without one is a count,
a fraction or a factor.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from marrowmap.data.model_input import ModelInputSettings
from marrowmap.models.unet import UNetSettings
from marrowmap.training.stream_settings import StreamSettings as StreamSettings
from marrowmap.training.stream_settings import require

#: Figures of the fixed validation patches that may end a run early; of these, lower is better.
Watched = Literal["loss", "sensitivity", "lesion_dice", "region_accuracy"]
LOWER_IS_BETTER: frozenset[Watched] = frozenset({"loss"})


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How a patch is varied beyond what the simulator varies; probabilities are per patch.

    Attributes:
        flip: Probability of a left-right flip.
        gain: Standard deviation of the logarithm of each signal channel's gain.
        gamma: Standard deviation of the logarithm of each signal channel's exponent.
        intensity: Probability that gain, gamma and bias field are applied at all.
        bias: Largest logarithm of the smooth field over a patch.
        noise: Largest standard deviation of added noise, network units.
        drop_channel: Probability of dropping each of T1, STIR, fat fraction and ADC.
        shift: Probability that each anatomical channel is displaced by one voxel.
    """

    flip: float = 0.5
    gain: float = 0.12
    gamma: float = 0.15
    intensity: float = 0.6
    bias: float = 0.25
    noise: float = 0.05
    drop_channel: float = 0.08
    shift: float = 0.15


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """What is minimised.

    Attributes:
        lesion_dice: Weight of the lesion Dice over the batch.
        lesion_entropy: Weight of the lesion cross-entropy.
        dice_ramp: Fraction of the run over which the lesion Dice rises from nothing: it is noise until the
            network roughly knows lesions.
        lesion_voxel_weight: How much more than any voxel a lesion's counts in the cross-entropy.
        bone_voxel_weight: How much more a voxel of bone without lesion counts.
        region_dice: Weight of the mean region Dice.
        region_entropy: Weight of the region cross-entropy.
        coarse_entropy: Weight of the region cross-entropy at coarser levels.
        region_stride: Regions are compared in every n-th cell of 2 x 2 x 2 voxels per axis, at a phase that
            changes with the step: they are smooth, and nine channels in every voxel cost a fifth of it.
    """

    lesion_dice: float = 1.0
    lesion_entropy: float = 1.0
    dice_ramp: float = 0.2
    lesion_voxel_weight: float = 30.0
    bone_voxel_weight: float = 4.0
    region_dice: float = 2.0
    region_entropy: float = 2.0
    coarse_entropy: float = 1.0
    region_stride: int = 2


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """How it is minimised: AdamW, a warm-up, then a cosine to nearly zero, and averaged weights.

    Attributes:
        learning_rate: Highest learning rate.
        warm_up: Fraction of the run in which the learning rate rises.
        final_rate: Last learning rate, as a fraction of the highest.
        weight_decay: AdamW's.
        gradient_norm: Gradients are clipped to this norm.
        ema_decay: Decay of the averaged weights, which are validated and exported.
    """

    learning_rate: float = 1e-3
    warm_up: float = 0.01
    final_rate: float = 0.01
    weight_decay: float = 1e-3
    gradient_norm: float = 5.0
    ema_decay: float = 0.998


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """A whole training run.

    Attributes:
        run: Folder of the run: settings, metrics, checkpoints. It is made.
        seed: Seed of weights, patches and augmentation.
        max_steps: Optimiser steps; the schedule ends here.
        max_minutes: Wall-clock budget, or None. The schedule ends at whichever comes first, so a run
            that ends by the clock is not repeatable bit by bit.
        batch_size: Patches a step. With 1, torch leaves its fast convolutions on the CPU.
        threads: CPU threads of torch; None leaves torch's choice.
        device: `auto` takes a GPU when there is one.
        precision: `auto` takes bfloat16 where the device multiplies it in hardware (most GPUs, CPUs with
            AVX-512 BF16), float16 on older GPUs, else float32. Weights and losses stay in float32.
        log_every_s: Seconds between progress lines.
        checkpoint_every_minutes: Minutes between checkpoints; the last two are kept.
        validate_every: Steps between validations on fixed patches.
        validation_patches: Patches of each validation exam.
        resume: Continue the run in `run` from its last checkpoint, exactly where it stopped.
        init_from: Bundle whose weights to start from; `shipped` for the one in the package.
        prepare_only: Prepare the exams in the cache and stop.
        accumulate: Batches whose gradients are added up for one step: memory of one, gradient of all. (The
            Dice terms stay those of each batch.)
        patience: Validations without a better `watch` before the run ends early, or None.
        watch: Figure of the fixed validation patches that `patience` looks at.
        devices: Processes on each machine that train together, one a GPU (on a CPU, one each).
        nodes: Machines that train together.
        strategy: How they do: `ddp` keeps the network on each and averages gradients; `auto` takes it where
            there is more than one device.
        tracking: Where the curves go besides `metrics.csv`: MLflow in the folder `mlruns` beside the run,
            or TensorBoard within the run.
        network: The network's shape.
        model_input: The working grid and the channels' scaling.
        stream: Exams and patches.
        augment: Variation of patches.
        loss: What is minimised.
        optimiser: How.
    """

    run: Path = Path("runs/default")
    seed: int = 0
    max_steps: int = 40000
    max_minutes: float | None = None
    batch_size: int = 2
    threads: int | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    log_every_s: float = 15.0
    checkpoint_every_minutes: float = 5.0
    validate_every: int = 300
    validation_patches: int = 6
    resume: bool = False
    init_from: Path | None = None
    prepare_only: bool = False
    accumulate: int = 1
    patience: int | None = None
    watch: Watched = "loss"
    devices: int = 1
    nodes: int = 1
    strategy: Literal["auto", "ddp"] = "auto"
    tracking: Literal["none", "mlflow", "tensorboard"] = "none"
    network: UNetSettings = field(default_factory=UNetSettings)
    model_input: ModelInputSettings = field(default_factory=ModelInputSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)

    def __post_init__(self) -> None:
        """Refuse a run that could not work.

        Raises:
            SettingsError: If the patch does not fit the network or a count is not positive.
        """
        multiple = self.network.patch_multiple
        sides = self.stream.patch_size
        require(
            all(side % multiple == 0 and side > 0 for side in sides),
            f"patch_size needs multiples of {multiple} for this number of features, found {sides}",
        )
        require(
            min(self.max_steps, self.batch_size, self.validate_every) >= 1,
            "max_steps, batch_size and validate_every need 1 or more; found one below 1",
        )
        require(
            self.max_minutes is None or self.max_minutes > 0, "max_minutes needs to be positive, or left out"
        )
        self._require_counts()

    def _require_counts(self) -> None:
        for name in ("accumulate", "devices", "nodes", "patience"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name} needs 1 or more, found {value}")
        require(
            self.patience is None or (self.stream.holds_out and self.validation_patches > 0),
            "patience needs validation patches, found none; set validation_patches and either "
            "stream.validation_exams or, for own exams, stream.fold",
        )
        require(
            self.network.norm != "batch" or self.devices * self.nodes == 1,
            "network.norm batch needs one device: each would have its own mean; use instance or group",
        )
        require(
            self.stream.mode == "fixed" or self.devices * self.nodes == 1,
            "mode growing needs one device: with more, each would see other exams; use --stream.mode fixed",
        )


def as_plain(settings: object) -> dict[str, Any]:
    """Return a settings dataclass as words and numbers for YAML or JSON (paths become text)."""
    plain = _plain(asdict(settings))  # type: ignore[call-overload]  # every settings object is a dataclass
    assert isinstance(plain, dict)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
