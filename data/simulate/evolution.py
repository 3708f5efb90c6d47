"""What time and treatment make of a simulated disease: lesions that respond, rest, grow or appear.

Treatment first raises the ADC of a lesion (cells die), then fat returns, ADC falls back and the lesion
fades: the course of `Padhani, Eur Urol 2017;71:81` and of the treated lesions in PMC5176005.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from marrowmap.data.simulate.disease import DiseasedBody
from marrowmap.data.simulate.evolution_paint import (
    add_lesions,
    clear,
    core,
    grown_mask,
    mean_material,
    widened,
)
from marrowmap.data.simulate.marrow import (
    FIRST_LESION_ROW,
    MarrowState,
    adc_of_healthy_marrow,
    infiltrated,
    marrow_index,
)
from marrowmap.data.simulate.painting import (
    Box,
    PaintedBody,
)
from marrowmap.data.simulate.texture import levels_of, noise_tile
from marrowmap.data.simulate.tissue import (
    TEXTURE_LEVELS,
    TISSUE_ROWS,
    Material,
    MaterialTable,
    joined,
    table_of,
)
from marrowmap.data.simulate.truth import DiffuseGrade, LesionTruth

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy

Course = Literal["responding", "stable", "progressing", "mixed"]
Fate = Literal[
    "unchanged", "treated", "fat_returned", "shrunk", "vanished", "grown", "reactivated", "new"
]  # fmt: skip

#: How likely each fate of an active lesion is under a course.
_FATES: dict[Course, dict[Fate, float]] = {
    "responding": {"treated": 0.4, "fat_returned": 0.2, "shrunk": 0.2, "vanished": 0.12, "unchanged": 0.08},
    "stable": {"unchanged": 1.0},
    "progressing": {"grown": 0.5, "unchanged": 0.5},
    "mixed": {"treated": 0.25, "fat_returned": 0.1, "shrunk": 0.1, "vanished": 0.05, "grown": 0.35,
              "unchanged": 0.15},
}  # fmt: skip
#: The same for a lesion that has been treated before: it can fade further or come back to life.
_FATES_OF_TREATED: dict[Course, dict[Fate, float]] = {
    "responding": {"fat_returned": 0.5, "vanished": 0.2, "unchanged": 0.3},
    "stable": {"unchanged": 1.0},
    "progressing": {"reactivated": 0.6, "unchanged": 0.4},
    "mixed": {"fat_returned": 0.3, "reactivated": 0.4, "unchanged": 0.3},
}
_BETTER: frozenset[Fate] = frozenset({"treated", "fat_returned", "shrunk", "vanished"})
_WORSE: frozenset[Fate] = frozenset({"grown", "reactivated"})
_NEW_LESIONS: dict[Course, float] = {"responding": 0.0, "stable": 0.0, "progressing": 3.0, "mixed": 1.5}
_GROWTH = (1.45, 2.0)
_TREATED_ADC_UM2_PER_S = 1400.0


@dataclass(frozen=True, kw_only=True)
class LesionFate:
    """What became of one lesion.

    Attributes:
        baseline_id: Its id before; None for a new lesion.
        id: Its id now; None when it has vanished.
        fate: In one word.
    """

    baseline_id: int | None
    id: int | None
    fate: Fate


@dataclass(frozen=True, kw_only=True)
class EvolvedBody:
    """A body later.

    Attributes:
        body: Materials, labels and lesions; ids count from 1 again.
        fates: One for every lesion before and every new one.
    """

    body: DiseasedBody
    fates: tuple[LesionFate, ...]


def evolve(anatomy: Anatomy, body: DiseasedBody, rng: np.random.Generator, course: Course) -> EvolvedBody:
    """Let a disease take its course; the given body is left as it is.

    Args:
        anatomy: The body's tissue and bone maps.
        body: Its disease before.
        rng: Source of randomness: which lesion takes which fate, and how far.
        course: Of the whole disease.

    Returns:
        The disease after, and what became of each lesion.
    """
    canvas = _canvas_of(anatomy, body, rng)
    grade = _evolve_marrow(canvas, body, rng, course)
    fates = _drawn_fates(body.lesions, rng, course)
    boxes = ndimage.find_objects(canvas.lesion_labels.astype(np.int32, copy=False))
    for lesion in body.lesions:
        _change(canvas, lesion, boxes[lesion.id - 1], fates[lesion.id], rng)
    is_still_calm = not set(fates.values()) & _WORSE
    least = 1 if course == "progressing" or (course == "mixed" and is_still_calm) else 0
    count = max(least, int(rng.poisson(_NEW_LESIONS[course])))
    added = add_lesions(canvas, rng, len(body.lesions), count)
    kept = [lesion for lesion in body.lesions if fates[lesion.id] != "vanished"]
    table = joined(_upper_rows(body.table), table_of(canvas.materials))
    changed = replace(
        body,
        material=canvas.material,
        table=table,
        lesion_labels=canvas.lesion_labels,
        lesions=(*(_after(lesion, fates[lesion.id], canvas, table) for lesion in kept), *added),
        diffuse_grade=grade,
    )
    all_fates = [
        LesionFate(baseline_id=n, id=None if f == "vanished" else n, fate=f) for n, f in fates.items()
    ]
    all_fates += [LesionFate(baseline_id=None, id=lesion.id, fate="new") for lesion in added]
    return EvolvedBody(body=changed, fates=tuple(all_fates))


def _canvas_of(anatomy: Anatomy, body: DiseasedBody, rng: np.random.Generator) -> PaintedBody:
    """Return copies to paint on; the lesions' rows of the table become the canvas's own materials."""
    names = [name for name in Material.__dataclass_fields__ if hasattr(body.table, name)]
    rows = zip(*(getattr(body.table, name)[FIRST_LESION_ROW:].tolist() for name in names), strict=True)
    return PaintedBody(
        anatomy=anatomy,
        material=body.material.copy(),
        lesion_labels=body.lesion_labels.copy(),
        levels=levels_of(noise_tile(rng, smoothing_voxels=1.2), TEXTURE_LEVELS),
        materials=[Material(**dict(zip(names, row, strict=True))) for row in rows],
        spacing_mm=float(np.linalg.norm(anatomy.affine_ras_mm[:3, 0])),
    )


def _upper_rows(table: MaterialTable) -> MaterialTable:
    """Return tissues and marrow: all rows above the lesions'."""
    return replace(table, **{name: column[:FIRST_LESION_ROW] for name, column in vars(table).items()})


def _drawn_fates(
    lesions: tuple[LesionTruth, ...], rng: np.random.Generator, course: Course
) -> dict[int, Fate]:
    """Draw a fate for each lesion; the largest bears the course out if no other does."""
    fates: dict[int, Fate] = {lesion.id: _draw_fate(lesion, rng, course) for lesion in lesions}
    if not fates:
        return fates
    largest = max(lesions, key=lambda lesion: lesion.volume_ml)
    found = set(fates.values())
    if course == "progressing" and not found & _WORSE:
        fates[largest.id] = "grown"
    if course in ("responding", "mixed") and not found & _BETTER:
        is_treated = largest.adc_um2_per_s > _TREATED_ADC_UM2_PER_S
        fates[largest.id] = "fat_returned" if is_treated else "treated"
    return fates


def _draw_fate(lesion: LesionTruth, rng: np.random.Generator, course: Course) -> Fate:
    is_treated = lesion.adc_um2_per_s > _TREATED_ADC_UM2_PER_S
    shares = (_FATES_OF_TREATED if is_treated else _FATES)[course]
    fates = list(shares)
    return fates[int(rng.choice(len(fates), p=list(shares.values())))]


def _change(
    canvas: PaintedBody, lesion: LesionTruth, box: Box | None, fate: Fate, rng: np.random.Generator
) -> None:
    """Paint one lesion as its fate wants it."""
    if box is None:
        return
    wide = widened(box, canvas, by_mm=0.6 * lesion.longest_diameter_mm + 8.0)
    mask = canvas.lesion_labels[wide] == lesion.id
    if not (canvas.material[wide][mask] >= FIRST_LESION_ROW).any():
        return
    before = mean_material(canvas, wide, mask)
    if fate == "vanished":
        clear(canvas, wide, mask)
        return
    if fate == "shrunk":
        kept = core(mask, rng.uniform(0.4, 0.65))
        clear(canvas, wide, mask & ~kept)
        mask = kept
    if fate == "grown":
        mask = grown_mask(canvas, wide, mask, lesion, rng.uniform(*_GROWTH))
        canvas.lesion_labels[wide][mask] = lesion.id
    canvas.paint(wide, mask, canvas.add(_changed_material(before, fate, rng)))


def _changed_material(before: Material, fate: Fate, rng: np.random.Generator) -> Material:
    """Return what a lesion is made of after its fate."""
    adc = before.adc_um2_per_s
    if fate in ("treated", "shrunk"):
        least, most = (1.5, 2.2) if fate == "treated" else (1.15, 1.7)
        return replace(before, adc_um2_per_s=min(adc * rng.uniform(least, most), 2300.0))
    if fate == "fat_returned":
        fat = rng.uniform(0.82, 0.95)  # scars are fatty marrow: next to no signal at high b
        return replace(before, fat_fraction=fat, adc_um2_per_s=float(rng.uniform(300, 420)))
    if fate == "reactivated":
        return replace(before, fat_fraction=0.05, adc_um2_per_s=float(rng.uniform(700, 950)))
    return replace(before, adc_um2_per_s=float(adc * np.exp(rng.normal(0, 0.03))))


def _after(lesion: LesionTruth, fate: Fate, canvas: PaintedBody, table: MaterialTable) -> LesionTruth:
    """Return the truth of a lesion that is still there; place and size are measured after repositioning."""
    if fate == "unchanged":
        return lesion
    rows = canvas.material[canvas.lesion_labels == lesion.id]
    adc, fat = float(table.adc_um2_per_s[rows].mean()), float(table.fat_fraction[rows].mean())
    kind = "treated" if adc > _TREATED_ADC_UM2_PER_S else "active" if fate == "reactivated" else lesion.kind
    return replace(lesion, adc_um2_per_s=adc, fat_fraction=fat, kind=kind)


def _evolve_marrow(
    canvas: PaintedBody, body: DiseasedBody, rng: np.random.Generator, course: Course
) -> DiffuseGrade:
    """Let diffuse infiltration follow the course; healthy background marrow stays as it is.

    In a mixed course it responds where there are no lesions that could.
    """
    grade = body.diffuse_grade
    if grade == "none" or course == "stable" or (course == "mixed" and body.lesions):
        return grade
    flat = np.flatnonzero((canvas.material >= TISSUE_ROWS) & (canvas.material < FIRST_LESION_ROW))
    rows = canvas.material.reshape(-1)[flat]
    fat, adc = body.table.fat_fraction[rows], body.table.adc_um2_per_s[rows]
    if course == "progressing":
        state = MarrowState(
            flat=flat,
            voxels=np.empty((3, 0), dtype=np.int32),
            bone=canvas.anatomy.bone.reshape(-1)[flat],
            fat_fraction=fat,
            adc_um2_per_s=adc,
        )
        share = np.full(fat.shape, rng.uniform(0.6, 0.85), dtype=np.float32)
        state = infiltrated(state, share, adc_um2_per_s=float(rng.uniform(750, 850)))
        fat, adc, grade = state.fat_fraction, state.adc_um2_per_s, "severe"
    elif rng.random() < 0.4:  # early: cells die, water moves, no fat yet
        fat, adc = fat + np.float32(0.05), adc * np.float32(rng.uniform(1.45, 1.7))
    else:
        fat = fat + (np.float32(rng.uniform(0.5, 0.62)) - fat).clip(0.0) * np.float32(rng.uniform(0.75, 1.0))
        adc, grade = adc_of_healthy_marrow(fat), "none"
    canvas.material.reshape(-1)[flat] = marrow_index(fat, adc)
    return grade
