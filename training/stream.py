"""Patches without end: which exam, where in it, varied how; each decided by its number alone.

Patch `n` of a run depends on the run's seed and on `n`, so a resumed run sees the same patches as one
that never stopped. (In mode `growing` also on which exams had arrived.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from marrowmap.training.augment import augment, shifted_crops
from marrowmap.training.cache import ExamCache, PreparedExam
from marrowmap.training.config import AugmentSettings, StreamSettings
from marrowmap.training.losses import IGNORED
from marrowmap.training.patches import Patch, crop, draw_start

#: Patches between looks into a growing cache.
LOOK_EVERY = 50
#: Exams tried for one that has a lesion; normal and diffuse ones have none.
DRAWS_FOR_LESION = 20
#: A lesion of this many voxels or more (12 mm across on the default grid) counts by its voxels alone; a voxel
#: of a smaller one counts more, up to so many times.
FULL_LESION_VOXELS, MOST_LESION_WEIGHT = 64, 6.0


class PatchDataset(Dataset[dict[str, torch.Tensor]]):
    """Training patches by number."""

    def __init__(
        self,
        cache: ExamCache,
        seeds: Sequence[int],
        settings: StreamSettings,
        augmentation: AugmentSettings | None,
        *,
        seed: int,
        length: int,
        annotated: Sequence[int] = (),
    ) -> None:
        """Prepare to draw.

        Args:
            cache: Where the exams are.
            seeds: Which of them to use.
            settings: How patches are drawn.
            augmentation: How they are varied, None for not at all.
            seed: Seed of the run.
            length: Patches that the run can use at most.
            annotated: Numbers of the annotated exams that are mixed in, all of them prepared.
        """
        self._annotated = list(annotated)
        self._cache, self._wanted, self._settings = cache, list(seeds), settings
        self._augmentation, self._seed, self._length = augmentation, seed, length
        self._exams: dict[int, PreparedExam] = {}
        self._available = [s for s in self._wanted if s in cache]
        self._looked = 0

    def __len__(self) -> int:
        """Return the number of patches of the run."""
        return self._length

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        """Return a patch by its number.

        Returns:
            `image` float32 `(c, i, j, k)`, `lesion` and `regions` uint8 `(i, j, k)`, and `lesion_weight`
            float32 `(i, j, k)`.
        """
        rng = np.random.default_rng((self._seed, number))
        exam, settings = self._drawn_exam(number, rng)
        start = draw_start(exam, settings, rng)
        patch = self._cut(exam, start, rng)
        weights = lesion_weights(patch.lesions, exam.lesion_points[:, 0], settings)
        # The copies matter: a flipped view has strides that torch refuses.
        return {
            "image": torch.from_numpy(np.ascontiguousarray(patch.image)),
            "lesion": torch.from_numpy(lesion_target(patch.lesions, ignored_lesions(exam, self._settings))),
            "lesion_weight": torch.from_numpy(weights),
            "regions": torch.from_numpy(np.ascontiguousarray(patch.regions)),
        }

    def _drawn_exam(self, number: int, rng: np.random.Generator) -> tuple[PreparedExam, StreamSettings]:
        """Return the exam of a patch and how to draw a place in it.

        Patches near a lesion come in turn with the others, from exams that have one: where batches with and
        without lesion alternate at random, the gradient mostly says "more" or "less lesion everywhere", and
        what a lesion looks like is learned ten times more slowly.
        """
        share, seeds = self._settings.near_lesion, self._pool(number, rng)
        is_near = int((number + 1) * share) > int(number * share)
        exam = self._exam(seeds[int(rng.integers(len(seeds)))])
        for _ in range(DRAWS_FOR_LESION if is_near else 0):
            if len(exam.lesion_points):
                break
            exam = self._exam(seeds[int(rng.integers(len(seeds)))])
        if is_near:
            return exam, replace(self._settings, near_lesion=1.0, on_skeleton=0.0)
        on_skeleton = self._settings.on_skeleton / max(1 - share, 1e-6)
        return exam, replace(self._settings, near_lesion=0.0, on_skeleton=min(on_skeleton, 1.0))

    def _cut(self, exam: PreparedExam, start: tuple[int, int, int], rng: np.random.Generator) -> Patch:
        size = self._settings.patch_size
        if self._augmentation is None:
            return crop(exam, start, size)
        shifts = shifted_crops(len(exam.present), self._augmentation, rng)
        return augment(crop(exam, start, size, shifts), self._augmentation, rng)

    def _pool(self, number: int, rng: np.random.Generator) -> list[int]:
        """Return the exams that a patch may come from: annotated or simulated ones, by their weights."""
        # Without annotated exams nothing is drawn: runs of before stay the same bit by bit.
        if self._annotated and rng.random() < self._settings.annotated_share:
            return self._annotated
        return self._seeds_at(number)

    def _seeds_at(self, number: int) -> list[int]:
        is_growing = self._settings.mode == "growing" and len(self._available) < len(self._wanted)
        if is_growing and number >= self._looked + LOOK_EVERY:
            self._looked = number
            self._available = [s for s in self._wanted if s in self._cache]
        return self._available

    def _exam(self, seed: int) -> PreparedExam:
        if seed not in self._exams:
            exam = self._cache.load(seed)
            ignored = ignored_lesions(exam, self._settings)
            counted = exam.lesion_points[~np.isin(exam.lesion_points[:, 0], ignored)]
            self._exams[seed] = replace(exam, lesion_points=counted)
        return self._exams[seed]


def ignored_lesions(exam: PreparedExam, settings: StreamSettings) -> list[int]:
    """Return the ids of lesions that are too small to count, as far as their diameters are known."""
    lesions = exam.facts.get("lesions", [])
    return [lesion["id"] for lesion in lesions if lesion["longest_diameter_mm"] < settings.smallest_lesion_mm]


def lesion_target(labels: npt.NDArray[np.uint16], ignored: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Return what the lesion channel should say.

    Args:
        labels: uint16 `(i, j, k)` lesion ids.
        ignored: Ids of lesions that are too small to count.

    Returns:
        uint8 `(i, j, k)`: 1 in a lesion, `losses.IGNORED` in an ignored one, else 0.
    """
    target = (labels > 0).astype(np.uint8)
    if ignored:
        target[np.isin(labels, ignored)] = IGNORED
    return target


def lesion_weights(
    labels: npt.NDArray[np.uint16], of_points: npt.NDArray[np.int16], settings: StreamSettings
) -> npt.NDArray[np.float32]:
    """Return how much each voxel counts as part of its lesion.

    Args:
        labels: uint16 `(i, j, k)` lesion ids.
        of_points: int16 `(n,)`, the ids of the exam's lesion points: one for each voxel of a small lesion.
        settings: `small_lesion_power`.

    Returns:
        float32 `(i, j, k)`: 1 outside lesions and in large ones, more in small ones.
    """
    voxels = np.bincount(of_points, minlength=int(labels.max(initial=0)) + 1)
    share = FULL_LESION_VOXELS / np.clip(voxels, 1, FULL_LESION_VOXELS)
    weight = np.minimum(share**settings.small_lesion_power, MOST_LESION_WEIGHT).astype(np.float32)
    weight[0] = 1.0
    return weight[labels]


class _From(Sampler[int]):
    """One process's numbers from a start to the end: a block of each round of all processes.

    Its length is the whole run's: Lightning counts the batches before a resume as done.
    """

    def __init__(self, start: int, stop: int, batch_size: int, rank: int, ranks: int) -> None:
        self._rounds = range(start, stop, batch_size * ranks)
        self._batch_size, self._first, self._length = batch_size, rank * batch_size, stop // ranks

    def __iter__(self) -> Iterator[int]:
        for number in self._rounds:
            yield from range(number + self._first, number + self._first + self._batch_size)

    def __len__(self) -> int:
        return self._length


class _ReadyAhead(DataLoader[dict[str, torch.Tensor]]):
    """Batches, the next one cut by a thread while the network works on this one.

    Cutting costs a tenth of a step; numpy and torch let go of the interpreter for nearly all of it. A thread
    needs no second copy of the exams, no pickling and no start-up, and is the same on every system.
    """

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:  # type: ignore[override]  # only iterated
        batches = super().__iter__()
        with ThreadPoolExecutor(1, thread_name_prefix="patches") as pool:
            ready = pool.submit(next, batches, None)
            while (batch := ready.result()) is not None:
                ready = pool.submit(next, batches, None)
                yield batch


def patch_loader(
    dataset: PatchDataset, *, start: int, batch_size: int, rank: int = 0, ranks: int = 1
) -> DataLoader[dict[str, torch.Tensor]]:
    """Return one process's batches of a run from patch `start` onward.

    Process `rank` of `ranks` takes its block of every `ranks * batch_size` patches: together they learn
    from the very patches that one process with a batch of that size would.

    A thread cuts ahead (see `_ReadyAhead`); an error in it is raised where the batch is asked for.
    """
    numbers = _From(start, len(dataset), batch_size, rank, ranks)
    return _ReadyAhead(dataset, batch_size=batch_size, sampler=numbers, drop_last=True)
