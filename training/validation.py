"""Fixed patches of validation exams: the same ones at every look, so that the curve means something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from marrowmap.training.cache import ExamCache
from marrowmap.training.config import TrainSettings
from marrowmap.training.patches import Patch, crop, draw_start
from marrowmap.training.stream import ignored_lesions, lesion_target

#: Validation patches do not change with the run's seed: runs stay comparable.
PATCH_SEED = 10_000


class FixedPatches(Dataset[dict[str, torch.Tensor]]):
    """A few patches of each validation exam, never varied."""

    def __init__(
        self,
        cache: ExamCache,
        settings: TrainSettings,
        rank: int = 0,
        ranks: int = 1,
        annotated: Sequence[int] = (),
    ) -> None:
        """Cut the patches.

        Args:
            cache: Where the exams are.
            settings: Which simulated exams, how many patches, how large.
            rank: Of `ranks` processes, which one; it takes every n-th exam.
            ranks: Processes that validate together. With fewer exams than these, each takes all exams: every
                figure is a ratio, and a process without a patch would leave the others waiting.
            annotated: Numbers of the annotated exams that are held out.
        """
        stream = replace(settings.stream, near_lesion=0.5, on_skeleton=0.5)
        self._patches: list[tuple[Patch, list[int]]] = []
        seeds = (*stream.validation_seeds, *annotated)
        for seed in seeds[rank::ranks] if len(seeds) >= ranks else seeds:
            exam, rng = cache.load(seed), np.random.default_rng((PATCH_SEED, seed))
            for _ in range(settings.validation_patches):
                patch = crop(exam, draw_start(exam, stream, rng), stream.patch_size)
                self._patches.append((patch, ignored_lesions(exam, stream)))

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self._patches)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        """Return a patch, with lesion ids besides the mask."""
        patch, ignored = self._patches[number]
        return {
            "image": torch.from_numpy(patch.image),
            "lesion": torch.from_numpy(lesion_target(patch.lesions, ignored)),
            "lesion_labels": torch.from_numpy(patch.lesions.astype(np.int32)),
            "regions": torch.from_numpy(patch.regions),
        }


def validation_loader(
    cache: ExamCache,
    settings: TrainSettings,
    rank: int = 0,
    ranks: int = 1,
    annotated: Sequence[int] = (),
) -> DataLoader[dict[str, torch.Tensor]]:
    """Return one process's fixed patches in batches of the training's size."""
    patches = FixedPatches(cache, settings, rank, ranks, annotated)
    return DataLoader(patches, batch_size=settings.batch_size)
