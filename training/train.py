"""A training run from its settings to its last checkpoint."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Literal

import lightning.pytorch as lightning
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from marrowmap.data.errors import BundleError, SettingsError
from marrowmap.training.annotated import SPLIT_FILE, AnnotatedSplit, annotated_split
from marrowmap.training.cache import ExamCache
from marrowmap.training.config import TrainSettings, as_plain
from marrowmap.training.module import AveragedWeights, MarrowModule
from marrowmap.training.prepare import ExamMaker, Producer, open_cache, prepare, simulated_exam
from marrowmap.training.progress import Progress
from marrowmap.training.stream import PatchDataset, patch_loader
from marrowmap.training.validation import validation_loader

_log = logging.getLogger(__name__)

LAST_CHECKPOINT = "last.ckpt"
_Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
_LIGHTNING_PRECISION: dict[str, _Precision] = {
    "float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed",
}  # fmt: skip


def train(settings: TrainSettings, *, make: ExamMaker = simulated_exam) -> Path | None:
    """Train, or only prepare the exams.

    Args:
        settings: Everything about the run.
        make: Turns a seed into an exam; the simulator unless a test brings its own.

    Returns:
        The last checkpoint, None with `prepare_only`.

    Raises:
        SettingsError: If there is nothing to resume, or a run is already there.
        BundleError: If `init_from` does not fit the network.
        StudyError: If an annotated exam cannot be used.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    cache = open_cache(settings)
    stream, workers = settings.stream, settings.stream.workers
    own = annotated_split(stream)
    make = own.maker(make)
    prepare(cache, own.exams, settings.model_input, workers=workers, make=make)
    prepare(cache, stream.validation_seeds, settings.model_input, workers=workers, make=make)
    if stream.mode == "fixed" or settings.prepare_only:
        prepare(cache, stream.training_seeds, settings.model_input, workers=workers, make=make)
    if settings.prepare_only:
        return None
    resumed = begin_run(settings)
    _remember_split(own, settings)
    with _exams_arriving(cache, settings, make):
        return _fit(cache, settings, own, resumed)


def _remember_split(own: AnnotatedSplit, settings: TrainSettings) -> None:
    """Write which annotated exams train and which validate.

    Raises:
        SettingsError: If a run that is resumed began with others.
    """
    path, text = settings.run / SPLIT_FILE, own.to_json()
    is_other = path.is_file() and path.read_text(encoding="utf-8") != text
    if settings.resume and (is_other or (own.exams and not path.is_file())):
        raise SettingsError(
            f"the annotated exams are not those that {settings.run} began with; put them back, or begin "
            "another run with --init_from"
        )
    if own.exams:
        path.write_text(text, encoding="utf-8")


def begin_run(settings: TrainSettings) -> Path | None:
    """Make the run's folder, write the settings whole, and return the checkpoint to resume from.

    Raises:
        SettingsError: If there is nothing to resume, or a run is already there.
    """
    last = settings.run / LAST_CHECKPOINT
    if settings.resume and not last.is_file():
        raise SettingsError(f"nothing to resume: no {LAST_CHECKPOINT} in {settings.run}; leave out --resume")
    if last.is_file() and not settings.resume:
        raise SettingsError(f"{settings.run} holds a run; add --resume true, or name another --run")
    settings.run.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(as_plain(settings), sort_keys=False)
    (settings.run / "settings.yaml").write_text(text, encoding="utf-8")
    return last if settings.resume else None


def _fit(cache: ExamCache, settings: TrainSettings, own: AnnotatedSplit, resumed: Path | None) -> Path:
    lightning.seed_everything(settings.seed, verbose=False)
    module = MarrowModule(settings)
    if settings.init_from is not None and resumed is None:
        start_from_bundle(module, settings.init_from)
    data = _Data(cache, settings, own)
    with _quiet_lightning():
        trainer = _trainer(settings, data.validation_batches, own.validated_on(settings.stream))
        trainer.fit(module, datamodule=data, ckpt_path=resumed, weights_only=True if resumed else None)
        last = settings.run / LAST_CHECKPOINT
        trainer.save_checkpoint(last)
    _log.info("trained %d steps in %.1f min: %s", trainer.global_step, module.elapsed() / 60, last)
    return last


def start_from_bundle(module: MarrowModule, folder: Path) -> None:
    """Load a bundle's weights into the network.

    Raises:
        BundleError: If its network has another shape.
    """
    from marrowmap.models.bundle import load_bundle, load_state

    state = load_state(load_bundle(folder))
    try:
        module.network.load_state_dict(state)
    except RuntimeError as error:
        raise BundleError(
            f"the network of {folder.name} has another shape; set --network as in its metadata.json"
        ) from error


class _Data(lightning.LightningDataModule):
    """Patches from where the run stands, and the fixed validation patches."""

    def __init__(self, cache: ExamCache, settings: TrainSettings, own: AnnotatedSplit) -> None:
        super().__init__()
        self._cache, self._settings, self._own = cache, settings, own
        self._validation = validation_loader(cache, settings, own.validation)

    @property
    def validation_batches(self) -> int:
        """Number of validation batches."""
        return len(self._validation)

    def train_dataloader(self) -> DataLoader[dict[str, torch.Tensor]]:
        """Return the patches that the run has not seen."""
        settings = self._settings
        dataset = PatchDataset(
            self._cache,
            settings.stream.training_seeds,
            settings.stream,
            settings.augment,
            seed=settings.seed,
            length=settings.max_steps * settings.batch_size,
            annotated=self._own.training,
        )
        assert self.trainer is not None
        start = self.trainer.global_step * settings.batch_size
        return patch_loader(dataset, start=start, batch_size=settings.batch_size)

    def val_dataloader(self) -> DataLoader[dict[str, torch.Tensor]]:
        """Return the fixed patches."""
        return self._validation


def _trainer(settings: TrainSettings, validation_batches: int, validated_on: str) -> lightning.Trainer:
    checkpoints = ModelCheckpoint(
        dirpath=settings.run,
        filename="last",
        train_time_interval=timedelta(minutes=settings.checkpoint_every_minutes),
        enable_version_counter=False,
    )
    return lightning.Trainer(
        accelerator="gpu" if settings.device == "cuda" else settings.device,
        devices=1,
        precision=lightning_precision(settings),
        max_steps=settings.max_steps,
        max_epochs=-1,
        gradient_clip_val=settings.optimiser.gradient_norm,
        val_check_interval=settings.validate_every if validation_batches else None,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=settings.run,
        callbacks=[
            AveragedWeights(settings.optimiser.ema_decay),
            Progress(settings.log_every_s, settings.run / "metrics.csv", validated_on),
            checkpoints,
        ],
    )


def lightning_precision(settings: TrainSettings) -> _Precision:
    """Return Lightning's name of the run's precision, `auto` resolved for the device."""
    on_cuda = settings.device == "cuda" or (settings.device == "auto" and torch.cuda.is_available())
    chosen = settings.precision
    if chosen == "auto" and on_cuda:
        chosen = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    elif chosen == "auto":
        chosen = "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"
    if chosen == "float16" and not on_cuda:
        raise SettingsError("precision float16 needs a GPU; choose bfloat16 or float32")
    return _LIGHTNING_PRECISION[chosen]


@contextmanager
def _exams_arriving(cache: ExamCache, settings: TrainSettings, make: ExamMaker) -> Iterator[None]:
    """Keep processes simulating beside the training when the stream grows; start with enough exams."""
    stream = settings.stream
    if stream.mode == "fixed":
        yield
        return
    producer = Producer(cache, stream.training_seeds, settings.model_input, workers=stream.workers, make=make)
    try:
        producer.wait_for(min(stream.start_exams, stream.exams), stream.training_seeds)
        yield
    finally:
        producer.stop()


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence advice of Lightning that does not apply here; its errors still come through."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        # No loader workers by design (see patch_loader); old tree code is Lightning's own.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # The loader starts where the run stands, which Lightning cannot know.
        warnings.filterwarnings("ignore", message="You're resuming from a checkpoint")
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
        # Nobody is held out where the settings say so.
        warnings.filterwarnings("ignore", message="Total length of .* across ranks is zero")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        warnings.filterwarnings("ignore", message=".*treespec.*")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
