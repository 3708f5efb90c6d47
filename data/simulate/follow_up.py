"""Two exams of one simulated person: before, and after the disease has taken its course.

The body is the same, lies differently, and is scanned anew by the same protocol: gains, shifts and noise are
fresh, so that a stable pair differs as two exams of an unchanged person do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import ndimage

from marrowmap.data.simulate.disease import DiseasedBody, diseased_body, draw_pattern
from marrowmap.data.simulate.evolution import Course, EvolvedBody, LesionFate, evolve
from marrowmap.data.simulate.exam import SimulatedExam, SimulationSettings, built_anatomy, scan_body
from marrowmap.data.simulate.painting import longest_diameter_mm
from marrowmap.data.simulate.reposition import RepositionSettings, draw_pose, reposition
from marrowmap.data.simulate.truth import LesionTruth, Pattern

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy

DAYS_BETWEEN = {"responding": 84, "stable": 182, "progressing": 182, "mixed": 84}


@dataclass(frozen=True, kw_only=True)
class FollowUpTruth:
    """What became of each lesion between two simulated exams.

    Attributes:
        course: Of the whole disease.
        days: Between the exams.
        lesions: One for every lesion before and every new one; ids of the two `truth.json`.
        diffuse_grade_before: Of the background marrow at first.
        diffuse_grade_after: And now.
    """

    course: Course
    days: int
    lesions: tuple[LesionFate, ...]
    diffuse_grade_before: str
    diffuse_grade_after: str


@dataclass(frozen=True, kw_only=True)
class SimulatedPair:
    """Two simulated exams of one person.

    Attributes:
        baseline: The earlier.
        follow_up: The later.
        change: What is true of the change.
    """

    baseline: SimulatedExam
    follow_up: SimulatedExam
    change: FollowUpTruth


def simulate_pair(
    seed: int,
    course: Course,
    *,
    pattern: Pattern | Literal["random"] = "random",
    settings: SimulationSettings | None = None,
    anatomy: Anatomy | None = None,
    lying: RepositionSettings | None = None,
) -> SimulatedPair:
    """Simulate a person twice; the same arguments give the same pair.

    Args:
        seed: Decides everything.
        course: What the disease does between the exams.
        pattern: Infiltration pattern at first; `random` draws one with disease.
        settings: What is fixed of both exams.
        anatomy: A body made before, to save its time; built from the seed if None.
        lying: How differently the person lies.

    Raises:
        SettingsError: If the pattern is unknown or a setting is out of range.
    """
    settings = settings or SimulationSettings()
    bodies, diseases, signals, scanners, later, again = (
        np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(6)
    )
    anatomy = anatomy or built_anatomy(bodies, settings)
    chosen = _with_disease(diseases) if pattern == "random" else pattern
    body = diseased_body(anatomy, diseases, pattern=chosen, settings=settings.disease)
    before = scan_body(anatomy, body, seed, signals=signals, scanners=scanners, settings=settings)
    evolved = evolve(anatomy, body, later, course)
    moved = reposition(anatomy, evolved.body, draw_pose(later, lying))
    body_now, fates = renumbered(moved[0], moved[1], evolved)
    same = replace(settings, signal=before.signal, scanner=before.scanner)
    after = scan_body(moved[0], body_now, seed, signals=again, scanners=again, settings=same)
    after = replace(after, days=DAYS_BETWEEN[course])
    change = FollowUpTruth(
        course=course,
        days=DAYS_BETWEEN[course],
        lesions=fates,
        diffuse_grade_before=body.diffuse_grade,
        diffuse_grade_after=body_now.diffuse_grade,
    )
    return SimulatedPair(baseline=before, follow_up=after, change=change)


def renumbered(
    anatomy: Anatomy, moved: DiseasedBody, evolved: EvolvedBody
) -> tuple[DiseasedBody, tuple[LesionFate, ...]]:
    """Return the moved body with ids from 1 without gaps and lesions measured where they lie now."""
    boxes = ndimage.find_objects(moved.lesion_labels.astype(np.int32, copy=False))
    by_id: Mapping[int, LesionTruth] = {lesion.id: lesion for lesion in moved.lesions}
    table = np.zeros(len(boxes) + 1, dtype=np.uint16)
    lesions: list[LesionTruth] = []
    for number, box in enumerate(boxes, start=1):
        if box is None or number not in by_id:
            continue
        points = np.argwhere(moved.lesion_labels[box] == number) + [side.start for side in box]
        table[number] = len(lesions) + 1
        lesions.append(_measured(by_id[number], points, anatomy, len(lesions) + 1))
    fates = tuple(
        fate if fate.id is None else _renamed(fate, int(table[fate.id]) if fate.id < len(table) else 0)
        for fate in evolved.fates
    )
    return replace(moved, lesion_labels=table[moved.lesion_labels], lesions=tuple(lesions)), fates


def _renamed(fate: LesionFate, new_id: int) -> LesionFate:
    """Return a fate under the new id; a lesion of a voxel or two may be lost when the body moves."""
    return replace(fate, id=new_id) if new_id else replace(fate, id=None, fate="vanished")


def _measured(lesion: LesionTruth, points: Any, anatomy: Anatomy, new_id: int) -> LesionTruth:
    affine = np.asarray(anatomy.affine_ras_mm, dtype=np.float64)
    spacing = float(np.linalg.norm(affine[:3, 0]))
    x, y, z = affine[:3, :3] @ points.mean(axis=0) + affine[:3, 3]
    return replace(
        lesion,
        id=new_id,
        volume_ml=len(points) * spacing**3 / 1000.0,
        longest_diameter_mm=longest_diameter_mm(points.T.astype(np.float64), spacing),
        centroid_ras_mm=(float(x), float(y), float(z)),
    )


def _with_disease(rng: np.random.Generator) -> Pattern:
    """Draw a pattern until there is disease that can take a course."""
    while (drawn := draw_pattern(rng)) == "normal":
        pass
    return drawn
