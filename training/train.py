"""A training run from its settings to its last checkpoint."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning.pytorch as lightning
import torch
from torch.utils.data import DataLoader

from marrowmap.data.errors import BundleError, SettingsError
from marrowmap.models.bundle import Bundle, load_bundle, load_state
from marrowmap.training.annotated import AnnotatedSplit, annotated_split
from marrowmap.training.cache import ExamCache
from marrowmap.training.config import TrainSettings, as_plain
from marrowmap.training.module import MarrowModule
from marrowmap.training.prepare import ExamMaker, Producer, open_cache, prepare, simulated_exam
from marrowmap.training.ranks import is_first_process, own_share_first, require_launch
from marrowmap.training.run_folder import LAST_CHECKPOINT, ORIGIN_FILE, SPLIT_FILE, begin_run
from marrowmap.training.stop import RunStopped
from marrowmap.training.stream import PatchDataset, patch_loader
from marrowmap.training.tracking import require_tracking
from marrowmap.training.trainer import build_trainer, quiet_lightning
from marrowmap.training.validation import validation_loader

_log = logging.getLogger(__name__)

#: What `init_from` calls the weights in the package.
SHIPPED = Path("shipped")


def train(settings: TrainSettings, *, make: ExamMaker = simulated_exam) -> Path | None:
    """Train, or only prepare the exams.

    Args:
        settings: Everything about the run.
        make: Turns a seed into an exam; the simulator unless a test brings its own.

    Returns:
        The last checkpoint, None with `prepare_only`.

    Raises:
        SettingsError: If there is nothing to resume, a run is already there, another number of processes was
            started than the settings say, or the package that tracks the run is missing.
        BundleError: If `init_from` was trained on another input or with another network.
        RunStopped: If SIGTERM ended it before its last step; the checkpoint is written.
        StudyError: If an annotated exam cannot be used.
    """
    require_launch(settings)
    require_tracking(settings)
    if settings.init_from is not None and not settings.resume:
        require_as_trained(bundle_of(settings.init_from), settings)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    cache = open_cache(settings)
    stream, workers = settings.stream, settings.stream.workers
    own = annotated_split(stream)
    make = own.maker(make)
    wanted: list[Iterable[int]] = [own.exams, stream.validation_seeds]
    if stream.mode == "fixed" or settings.prepare_only:
        wanted.append(stream.training_seeds)
    for seeds in wanted:
        prepare(cache, own_share_first(seeds), settings.model_input, workers=workers, make=make)
    if settings.prepare_only:
        return None
    resumed = begin_run(settings)
    if resumed is not None:
        _require_same_split(own, settings.run)
    elif is_first_process():
        _remember_split(own, settings.run)
    with _exams_arriving(cache, settings, make):
        return _fit(cache, settings, own, resumed)


def _remember_split(own: AnnotatedSplit, run: Path) -> None:
    """Write which annotated exams train and which validate, in the place of a run cut off before."""
    if own.exams:
        (run / SPLIT_FILE).write_text(own.to_json(), encoding="utf-8")
    else:
        (run / SPLIT_FILE).unlink(missing_ok=True)


def _require_same_split(own: AnnotatedSplit, run: Path) -> None:
    """Refuse to resume a run with other annotated exams than it began with.

    Raises:
        SettingsError: If they differ.
    """
    path = run / SPLIT_FILE
    begun = path.read_text(encoding="utf-8") if path.is_file() else None
    if begun != (own.to_json() if own.exams else None):
        raise SettingsError(
            f"the annotated exams are not those that {run} began with; put them back, or begin "
            "another run with --init_from"
        )


def _fit(cache: ExamCache, settings: TrainSettings, own: AnnotatedSplit, resumed: Path | None) -> Path:
    lightning.seed_everything(settings.seed, verbose=False)
    module = MarrowModule(settings)
    if settings.init_from is not None and resumed is None:
        started = start_from_bundle(module, settings.init_from)
        if is_first_process():
            (settings.run / ORIGIN_FILE).write_text(origin_of(started), encoding="utf-8")
    data = RunPatches(cache, settings, own)
    with quiet_lightning():
        trainer = build_trainer(settings, own.validated_on(settings.stream))
        trainer.fit(module, datamodule=data, ckpt_path=resumed, weights_only=True if resumed else None)
        last = settings.run / LAST_CHECKPOINT
        trainer.save_checkpoint(last)
    if module.is_stop_asked and trainer.global_step < settings.max_steps:
        raise RunStopped(trainer.global_step, settings.max_steps, last)
    _log.info("trained %d steps in %.1f min: %s", trainer.global_step, module.elapsed() / 60, last)
    return last


def bundle_of(folder: Path) -> Bundle:
    """Return the bundle that `init_from` names; `shipped` is the one in the package."""
    return load_bundle(None if folder == SHIPPED else folder)


def require_as_trained(bundle: Bundle, settings: TrainSettings) -> None:
    """Refuse weights that were trained on another grid, scaling or network: they would fit, and mislead.

    Raises:
        BundleError: If a setting differs.
    """
    parts = {"model_input": as_plain(bundle.input), "network": dict(bundle.network)}
    for part, trained in parts.items():
        wanted = as_plain(getattr(settings, part))
        for name, value in trained.items():
            value = list(value) if isinstance(value, tuple) else value
            if wanted.get(name) != value:
                raise BundleError(
                    f"the weights of {bundle.name} need {part}.{name} {value}, found {wanted.get(name)}; "
                    "keep theirs (marrowmap train --propose DATA --init_from BUNDLE writes it), or leave out "
                    "--init_from"
                )


def start_from_bundle(module: MarrowModule, folder: Path) -> Bundle:
    """Load a bundle's weights into the network and return it; `shipped` is the one in the package.

    Raises:
        BundleError: If its network has another shape.
    """
    bundle = bundle_of(folder)
    state = load_state(bundle)
    try:
        module.network.load_state_dict(state)
    except RuntimeError as error:
        raise BundleError(
            f"the network of {folder.name} has another shape; set --network as in its metadata.json"
        ) from error
    return bundle


def origin_of(bundle: Bundle) -> str:
    """Return what a run remembers of the weights that it started from, as JSON."""
    plain = {name: getattr(bundle, name) for name in ("name", "version", "sha256", "trained_on")}
    return json.dumps(plain, indent=2) + "\n"


class RunPatches(lightning.LightningDataModule):
    """Patches from where the run stands, and the fixed validation patches."""

    def __init__(self, cache: ExamCache, settings: TrainSettings, own: AnnotatedSplit) -> None:
        """Remember where the patches come from; they are cut when Lightning asks for them."""
        super().__init__()
        self._cache, self._settings, self._own = cache, settings, own

    def train_dataloader(self) -> DataLoader[dict[str, torch.Tensor]]:
        """Return the patches that the run has not seen."""
        assert self.trainer is not None
        settings, ranks = self._settings, self.trainer.world_size
        patches_a_step = settings.batch_size * settings.accumulate * ranks
        dataset = PatchDataset(
            self._cache,
            settings.stream.training_seeds,
            settings.stream,
            settings.augment,
            seed=settings.seed,
            length=settings.max_steps * patches_a_step,
            annotated=self._own.training,
        )
        return patch_loader(
            dataset,
            start=self.trainer.global_step * patches_a_step,
            batch_size=settings.batch_size,
            rank=self.trainer.global_rank,
            ranks=ranks,
        )

    def val_dataloader(self) -> DataLoader[dict[str, torch.Tensor]]:
        """Return this process's share of the fixed patches."""
        assert self.trainer is not None
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        return validation_loader(self._cache, self._settings, rank, ranks, self._own.validation)


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
