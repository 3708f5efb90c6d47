"""Prepared exams on disk: what the network sees and what it should say, memory-mapped.

```
<cache>/<key>/             the key names the simulator's and the input's settings and versions
├── settings.json          what the key was made from
└── exam_00012/
    ├── image.npy          float16 (c, i, j, k)
    ├── lesions.npy        uint16 (i, j, k), lesion ids
    ├── regions.npy        uint8 (i, j, k), Region, or UNLABELLED where nobody drew any
    ├── body.npy           bool (i, j, k)
    ├── lesion_points.npy  int16 (n, 4): lesion id and a voxel of it
    ├── region_points.npy  int16 (n, 4): region and a voxel of it
    ├── body_points.npy    int16 (n, 3)
    └── exam.json          seed, channels present, affine, lesions
```
A folder appears whole or not at all, so several processes may fill one cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import StudyError
from marrowmap.data.exam import Affine, LabelArray
from marrowmap.data.skeleton import UNLABELLED

#: Raised whenever the files of a prepared exam change their meaning.
CACHE_FORMAT = 1
POINTS_PER_LESION = 200
POINTS_PER_REGION = 4000
POINTS_IN_BODY = 20_000

Points = npt.NDArray[np.int16]


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedExam:
    """One exam with its truth on the working grid.

    Attributes:
        image: float16 or float32 `(c, i, j, k)` in network units.
        lesions: uint16 `(i, j, k)`, lesion ids, 0 is none.
        regions: uint8 `(i, j, k)` of `Region`, 0 is no skeleton, `UNLABELLED` where nobody drew any.
        affine_ras_mm: 4 x 4, voxel to RAS+ mm.
        present: For each channel, whether the exam has it.
        body: bool `(i, j, k)`; None takes every voxel.
        facts: Whatever else should be remembered: seed, pattern, lesions.
        lesion_points: int16 `(n, 4)`: lesion id, then `(i, j, k)` of one of its voxels.
        region_points: int16 `(n, 4)`: region, then a voxel.
        body_points: int16 `(n, 3)`.
    """

    image: npt.NDArray[np.floating]
    lesions: LabelArray
    regions: LabelArray
    affine_ras_mm: Affine
    present: tuple[bool, ...]
    body: npt.NDArray[np.bool_] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    lesion_points: Points = field(default_factory=lambda: np.zeros((0, 4), dtype=np.int16))
    region_points: Points = field(default_factory=lambda: np.zeros((0, 4), dtype=np.int16))
    body_points: Points = field(default_factory=lambda: np.zeros((0, 3), dtype=np.int16))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along `(i, j, k)`, in mm."""
        x, y, z = np.linalg.norm(self.affine_ras_mm[:3, :3], axis=0)
        return float(x), float(y), float(z)


class ExamCache:
    """The prepared exams of one simulator and one input setting."""

    def __init__(self, root: Path, settings: Mapping[str, Any]) -> None:
        """Open the cache that belongs to these settings, making it if needed.

        Args:
            root: Folder of all caches.
            settings: Everything that decides what a seed's exam looks like.
        """
        self.settings = {"format": CACHE_FORMAT, **settings}
        text = json.dumps(self.settings, sort_keys=True)
        self.folder = root / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "settings.json").write_text(json.dumps(self.settings, indent=2) + "\n")

    def seeds(self) -> list[int]:
        """Return the seeds that are prepared, ascending."""
        names = (path.name for path in self.folder.glob("exam_*"))
        return sorted(int(name.removeprefix("exam_")) for name in names)

    def __contains__(self, seed: object) -> bool:
        """Say whether this seed's exam is prepared."""
        return isinstance(seed, int) and self._path(seed).is_dir()

    def save(self, seed: int, exam: PreparedExam) -> None:
        """Write an exam; one that is already there stays as it is."""
        scratch = Path(tempfile.mkdtemp(prefix=".writing_", dir=self.folder))
        for name, array in _arrays(exam, np.random.default_rng(seed)).items():
            np.save(scratch / f"{name}.npy", array, allow_pickle=False)
        facts = {
            "seed": seed,
            "present": list(exam.present),
            "affine_ras_mm": exam.affine_ras_mm.tolist(),
            **exam.facts,
        }
        (scratch / "exam.json").write_text(json.dumps(facts) + "\n")
        try:
            os.replace(scratch, self._path(seed))
        except OSError:  # another process was faster
            shutil.rmtree(scratch)
            if seed not in self:
                raise

    def load(self, seed: int) -> PreparedExam:
        """Return a seed's exam, arrays memory-mapped.

        Raises:
            StudyError: If it is not prepared.
        """
        folder = self._path(seed)
        if not folder.is_dir():
            raise StudyError(f"exam {seed} is not prepared; run marrowmap train --prepare_only true")
        facts = json.loads((folder / "exam.json").read_text())
        return PreparedExam(
            image=np.load(folder / "image.npy", mmap_mode="r"),
            lesions=np.load(folder / "lesions.npy", mmap_mode="r"),
            regions=np.load(folder / "regions.npy", mmap_mode="r"),
            affine_ras_mm=np.array(facts["affine_ras_mm"]),
            present=tuple(facts["present"]),
            body=np.load(folder / "body.npy", mmap_mode="r"),
            facts=facts,
            lesion_points=np.load(folder / "lesion_points.npy"),
            region_points=np.load(folder / "region_points.npy"),
            body_points=np.load(folder / "body_points.npy"),
        )

    def _path(self, seed: int) -> Path:
        return self.folder / f"exam_{seed:05d}"


def _arrays(exam: PreparedExam, rng: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
    body = np.ones(exam.lesions.shape, dtype=bool) if exam.body is None else exam.body
    places = np.flatnonzero(body)
    places = rng.choice(places, min(len(places), POINTS_IN_BODY), replace=False)
    return {
        "image": exam.image.astype(np.float16),
        "lesions": exam.lesions.astype(np.uint16),
        "regions": exam.regions.astype(np.uint8),
        "body": body,
        "lesion_points": labelled_points(exam.lesions, POINTS_PER_LESION, rng),
        "region_points": labelled_points(
            np.where(exam.regions == UNLABELLED, 0, exam.regions), POINTS_PER_REGION, rng
        ),
        "body_points": np.stack(np.unravel_index(places, body.shape), axis=1).astype(np.int16),
    }


def labelled_points(labels: LabelArray, per_label: int, rng: np.random.Generator) -> Points:
    """Return up to so many random voxels of every label.

    Args:
        labels: `(i, j, k)`, 0 is none.
        per_label: Most voxels of one label.
        rng: Which voxels.

    Returns:
        int16 `(n, 4)`: label, i, j, k, sorted by label.
    """
    places = np.flatnonzero(labels)
    rng.shuffle(places)
    values = labels.ravel()[places]
    order = np.argsort(values, kind="stable")
    rows = [order[start:stop][:per_label] for start, stop in _runs(values[order])]
    kept = np.concatenate(rows) if rows else np.zeros(0, dtype=np.intp)
    voxels = np.unravel_index(places[kept], labels.shape)
    return np.stack([values[kept], *voxels], axis=1).astype(np.int16)


def _runs(values: npt.NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    """Yield start and stop of every run of equal values."""
    edges = np.flatnonzero(np.diff(values, prepend=-1, append=-1)) if len(values) else np.zeros(0, dtype=int)
    yield from zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
