"""Where every point of the earlier exam lies in the later one: blocks matched, then rigid motion that varies.

The skeleton moves in rigid pieces with smooth passages between (a spine bends). So cubes around the bones are
matched by the correlation of their images, coarse to fine, and the motion of a point is the rigid motion that
fits the matched cubes around it best, near ones weighing most: a moving least squares of rigid motions.

Source: block matching with trimming: Ourselin, Image Vis Comput 2001;19:25.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.errors import GeometryError, SettingsError
from marrowmap.data.grid import Grid
from marrowmap.inference.response.blocks import (
    BlockSettings,
    Matches,
    Pyramid,
    match_blocks,
    pyramid_of,
)
from marrowmap.inference.response.exam import ComparedExam
from marrowmap.inference.response.motion import Motion
from marrowmap.inference.response.start import region_agreement, whole_shifts_mm

logger = logging.getLogger(__name__)

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One pass of matching.

    Attributes:
        spacing_mm: Voxel of the images that are matched.
        step_mm: Distance of neighbouring blocks.
        reach_mm: How far a block's partner is sought from where the last pass puts it.
        radius_mm: Reach of a block's say in the rigid motion around it; infinite: one motion for the body.
    """

    spacing_mm: float
    step_mm: float
    reach_mm: float
    radius_mm: float


@dataclass(frozen=True, kw_only=True)
class RegistrationSettings:
    """How two exams are brought together.

    Attributes:
        stages: Coarse to fine.
        blocks: How blocks are compared.
        trim_mm: Matches farther than this from the smooth motion are left out ...
        trim_deviations: ... or farther than so many median deviations.
        field_mm: Distance of the points at which the motion is computed; between them it is interpolated.
        least_blocks: With fewer matches, only the shift of the whole body is used.
    """

    stages: tuple[Stage, ...] = (
        Stage(spacing_mm=7.5, step_mm=45.0, reach_mm=22.5, radius_mm=float("inf")),
        Stage(spacing_mm=5.0, step_mm=30.0, reach_mm=15.0, radius_mm=90.0),
        Stage(spacing_mm=2.5, step_mm=30.0, reach_mm=7.5, radius_mm=35.0),
    )
    blocks: BlockSettings = field(default_factory=BlockSettings)
    trim_mm: float = 6.0
    trim_deviations: float = 4.0
    field_mm: float = 20.0
    least_blocks: int = 8

    def __post_init__(self) -> None:
        """Refuse a registration without a pass.

        Raises:
            SettingsError: If there is no stage.
        """
        if not self.stages:
            raise SettingsError("need at least one stage to register two exams, found none")


@dataclass(frozen=True, kw_only=True, eq=False)
class Registration:
    """The motion from the earlier exam to the later.

    Attributes:
        grid: Lattice on which the motion is known, in the earlier exam's frame.
        shift_mm: float32 `(3, i, j, k)`: what to add to a point's RAS+ mm.
        blocks: Number of matched blocks that the motion rests on.
        similarity: Median correlation of the matched blocks, 1 is equal.
        residual_mm: Median distance of the matched blocks from the smooth motion.
    """

    grid: Grid
    shift_mm: npt.NDArray[np.float32]
    blocks: int
    similarity: float
    residual_mm: float

    def moved(self, points_mm: Points) -> Points:
        """Return where points `(n, 3)` of the earlier exam lie in the later one, both RAS+ mm."""
        inverse = np.linalg.inv(self.grid.affine_ras_mm)
        voxels = points_mm @ inverse[:3, :3].T + inverse[:3, 3]
        shift = [
            ndimage.map_coordinates(part, voxels.T, order=1, mode="nearest", output=np.float64)
            for part in self.shift_mm
        ]
        return points_mm + np.stack(shift, axis=1)

    def moved_back(self, points_mm: Points) -> Points:
        """Return where points of the later exam lie in the earlier one: the inverse, by fixed-point steps."""
        found = points_mm.copy()
        for _ in range(6):
            found += points_mm - self.moved(found)
        return found


def register(
    before: ComparedExam, after: ComparedExam, settings: RegistrationSettings | None = None
) -> Registration:
    """Find where the earlier exam's skeleton lies in the later exam.

    Args:
        before: The earlier exam.
        after: The later.
        settings: How.

    Raises:
        GeometryError: If one of them shows no skeleton.
    """
    settings = settings or RegistrationSettings()
    for exam, word in ((before, "earlier"), (after, "later")):
        if not exam.regions.any():
            raise GeometryError(
                f"no skeleton in the {word} exam to register by; check that both are whole-body exams"
            )
    names = [name for name in ("t1", "stir", "dwi_high") if name in before.images and name in after.images]
    motion, matches = _started(before, after, names, settings)
    for stage in settings.stages[1:] if matches else ():
        levels = [pyramid_of(exam, names, stage.spacing_mm) for exam in (before, after)]
        found = _matched(levels[0], levels[1], motion, stage, settings)
        if len(found.similarity) < settings.least_blocks:
            break
        motion, matches = _fitted(found, stage, settings)
    logger.info("%d blocks matched", 0 if matches is None else len(matches.similarity))
    return _sampled(motion, matches, before.grid, settings)


def _started(
    before: ComparedExam, after: ComparedExam, names: list[str], settings: RegistrationSettings
) -> tuple[Motion, Matches | None]:
    """Fit the first stage from each start, and keep what lays the regions on each other best."""
    stage = settings.stages[0]
    levels = [pyramid_of(exam, names, stage.spacing_mm) for exam in (before, after)]
    tried: list[tuple[Motion, Matches | None]] = []
    for shift_mm in whole_shifts_mm(before, after):
        motion = Motion.shift(shift_mm)
        found = _matched(levels[0], levels[1], motion, stage, settings)
        is_fitted = len(found.similarity) >= settings.least_blocks
        tried.append(_fitted(found, stage, settings) if is_fitted else (motion, None))
    return max(tried, key=lambda one: region_agreement(before, after, one[0]))


def _matched(
    before: Pyramid, after: Pyramid, motion: Motion, stage: Stage, settings: RegistrationSettings
) -> Matches:
    """Match the blocks around the earlier exam's skeleton."""
    centres = before.lattice_points(stage.step_mm)
    expected = motion.moved(before.grid.points_mm(centres))
    return match_blocks(before, after, centres, expected, reach_mm=stage.reach_mm, settings=settings.blocks)


def _fitted(matches: Matches, stage: Stage, settings: RegistrationSettings) -> tuple[Motion, Matches]:
    """Fit the motion to the matches, three times, each time without those that stray."""
    kept = matches
    motion = _motion_of(kept, stage)
    for _ in range(3):
        stray = np.linalg.norm(motion.moved(matches.source_mm) - matches.target_mm, axis=1)
        limit = max(settings.trim_mm, settings.trim_deviations * float(np.median(stray)))
        chosen = matches.where(stray <= limit)
        if len(chosen.similarity) < settings.least_blocks:
            break
        kept = chosen
        motion = _motion_of(kept, stage)
    return motion, kept


def _motion_of(matches: Matches, stage: Stage) -> Motion:
    return Motion(
        source_mm=matches.source_mm,
        target_mm=matches.target_mm,
        weight=matches.similarity**2,
        radius_mm=stage.radius_mm,
    )


def _sampled(
    motion: Motion, matches: Matches | None, grid: Grid, settings: RegistrationSettings
) -> Registration:
    """Compute the motion on a lattice over the earlier exam."""
    steps = [
        max(2, int(np.ceil(n * s / settings.field_mm)) + 1)
        for n, s in zip(grid.shape, grid.spacing_mm, strict=True)
    ]
    affine = np.array(grid.affine_ras_mm)
    scale = [(n - 1) / (m - 1) for n, m in zip(grid.shape, steps, strict=True)]
    affine[:3, :3] = affine[:3, :3] @ np.diag(scale)
    lattice = Grid(shape=(steps[0], steps[1], steps[2]), affine_ras_mm=affine)
    points = lattice.points_mm(np.argwhere(np.ones(lattice.shape, dtype=bool)))
    shift = (motion.moved(points) - points).T.reshape(3, *lattice.shape)
    residual = 0.0
    if matches is not None:
        residual = float(
            np.median(np.linalg.norm(motion.moved(matches.source_mm) - matches.target_mm, axis=1))
        )
    return Registration(
        grid=lattice,
        shift_mm=shift.astype(np.float32),
        blocks=0 if matches is None else len(matches.similarity),
        similarity=0.0 if matches is None else float(np.median(matches.similarity)),
        residual_mm=residual,
    )
