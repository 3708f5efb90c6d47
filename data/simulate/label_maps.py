"""A body from a user's label maps: NIfTI with names, TotalSegmentator's masks, ICRP 110 voxel files."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.errors import SettingsError
from marrowmap.data.exam import Affine
from marrowmap.data.nifti import read_nifti
from marrowmap.data.simulate.anatomy import Anatomy
from marrowmap.data.simulate.label_names import Meaning, meaning_of
from marrowmap.data.simulate.labels import Bone, Tissue
from marrowmap.data.simulate.person import Person

_log = logging.getLogger(__name__)

Labels = npt.NDArray[np.uint16]

#: Columns, rows, slices and voxel size (mm) of the two adult reference phantoms of ICRP 110.
_ICRP = {"AM": ((254, 127, 222), (2.137, 2.137, 8.0)), "AF": ((299, 137, 348), (1.775, 1.775, 4.84))}
_MARGIN_MM = 12.0


@dataclass(frozen=True, kw_only=True)
class LabelMap:
    """Labels with their names.

    Attributes:
        labels: uint16 `(i, j, k)`, 0 where nothing is labelled.
        affine_ras_mm: Voxel to RAS+ mm, axis-aligned to within a few degrees.
        names: What each value is called.
        sex: `F` or `M` where the source says so.
    """

    labels: Labels
    affine_ras_mm: Affine
    names: dict[int, str]
    sex: str | None = None


def read_anatomy(folder: Path, *, spacing_mm: float = 2.0) -> Anatomy:
    """Read a body from a folder.

    Args:
        folder: `AM.dat` or `AF.dat` with `AM_organs.dat` or `AF_organs.dat`; or one NIfTI label map with
            one JSON of names (`{"1": "spleen", ...}`); or NIfTI masks, one a class, named as
            TotalSegmentator does. An optional `person.json` gives sex, age_years, stature_mm and adiposity.
        spacing_mm: Isotropic voxel size of the body.

    Returns:
        The anatomy. Names are understood by `label_names.meaning_of`; the rest counts as muscle.

    Raises:
        SettingsError: If the folder holds none of these, or no bone that can hold marrow.
    """
    source = _read_labels(folder)
    labels, affine = _on_isotropic_grid(source, spacing_mm)
    tissue, bone = _painted(labels, source.names, spacing_mm)
    if not np.isin(tissue, (Tissue.MARROW, Tissue.MEDULLARY_CAVITY)).any():
        raise SettingsError(
            f"need bones among the labels of {folder.name}, found none with marrow; name them"
        )
    person = _person(folder, source, tissue)
    return Anatomy(tissue=tissue, bone=bone, affine_ras_mm=affine, person=person)


def _read_labels(folder: Path) -> LabelMap:
    if not folder.is_dir():
        raise SettingsError(f"need a folder of label maps, found no folder {folder.name}")
    for phantom in _ICRP:
        if (folder / f"{phantom}.dat").is_file():
            return _read_icrp(folder, phantom)
    maps = sorted(path for path in folder.iterdir() if path.name.endswith((".nii", ".nii.gz")))
    names = sorted(path for path in folder.glob("*.json") if path.name != "person.json")
    if len(maps) == 1 and len(names) == 1:
        return _read_named(maps[0], names[0])
    if len(maps) > 1:
        return _read_masks(maps)
    raise SettingsError(
        "need a label map with a JSON of names, masks by class, or AM.dat/AF.dat of ICRP 110 "
        f"in {folder.name}; found {len(maps)} NIfTI and {len(names)} JSON files"
    )


def _read_icrp(folder: Path, phantom: str) -> LabelMap:
    shape, step = _ICRP[phantom]
    organs = folder / f"{phantom}_organs.dat"
    if not organs.is_file():
        raise SettingsError(f"need {organs.name} beside {phantom}.dat: it names the organs")
    names = {}
    for line in organs.read_text(encoding="latin-1").splitlines():
        entry = re.match(r"\s*(\d+)\s+(\D.*?)\s+\d+\s+\d+\.\d+\s*$", line)
        if entry:
            names[int(entry[1])] = entry[2]
    values = np.array((folder / f"{phantom}.dat").read_text(encoding="ascii").split(), dtype=np.uint16)
    if values.size != np.prod(shape):
        raise SettingsError(
            f"need {np.prod(shape)} voxels in {phantom}.dat, found {values.size}; is it whole?"
        )
    # Columns run to the left, rows to the back, slices to the head.
    affine = np.diag([-step[0], -step[1], step[2], 1.0])
    labels = values.reshape(shape[::-1]).transpose(2, 1, 0)
    return LabelMap(labels=labels, affine_ras_mm=affine, names=names, sex=phantom[1])


def _read_named(path: Path, names: Path) -> LabelMap:
    array, affine = read_nifti(path)
    try:
        entries: dict[str, Any] = json.loads(names.read_text(encoding="utf-8"))
        by_value = {int(value): str(name) for value, name in entries.items()}
    except (ValueError, AttributeError) as error:
        raise SettingsError(f'need {names.name} as {{"1": "spleen", ...}}; it reads otherwise') from error
    return LabelMap(labels=np.rint(array).astype(np.uint16), affine_ras_mm=affine, names=by_value)


def _read_masks(paths: list[Path]) -> LabelMap:
    """Read one mask a class; what only fills the body comes first, bones last."""
    classes = [(path, path.name.split(".")[0], meaning_of(path.name.split(".")[0])) for path in paths]
    classes.sort(
        key=lambda entry: 2 if entry[2] and entry[2].bones else not (entry[2] and entry[2].is_filling)
    )
    labels: Labels | None = None
    affine = np.eye(4)
    names = {}
    for value, (path, name, _) in enumerate(classes, start=1):
        mask, affine = read_nifti(path)
        labels = np.zeros(mask.shape, dtype=np.uint16) if labels is None else labels
        if mask.shape != labels.shape:
            raise SettingsError(f"need masks on one grid, found {path.name} of another size")
        labels[mask > 0.5] = value
        names[value] = name
    assert labels is not None  # there is at least one path
    return LabelMap(labels=labels, affine_ras_mm=affine, names=names)


def _on_isotropic_grid(source: LabelMap, spacing_mm: float) -> tuple[Labels, Affine]:
    """Return the labelled box with axes to the right, front and head, nearest neighbour, and its affine."""
    directions = source.affine_ras_mm[:3, :3]
    order = [int(np.argmax(np.abs(directions[axis]))) for axis in range(3)]
    labels = source.labels.transpose(order)
    steps = [float(np.linalg.norm(directions[:, axis])) for axis in order]
    flips = tuple(slice(None, None, -1 if directions[a, axis] < 0 else 1) for a, axis in enumerate(order))
    labels = labels[flips]
    filled = [np.flatnonzero(labels.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    if not filled[0].size:
        raise SettingsError("need labels above 0, found an empty map")
    picked = []
    for places, step in zip(filled, steps, strict=True):
        length = (places[-1] - places[0] + 1) * step
        at = places[0] + (np.arange(round(length / spacing_mm)) + 0.5) * spacing_mm / step - 0.5
        picked.append(np.clip(np.rint(at).astype(int), 0, places[-1]))
    margin = round(_MARGIN_MM / spacing_mm)
    cut = np.pad(labels[np.ix_(*picked)], ((margin, margin), (margin, margin), (0, 0)))
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = -spacing_mm * np.array(cut.shape) / 2
    return cut, affine


def _painted(
    labels: Labels, names: dict[int, str], spacing_mm: float
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    tissue = np.full(labels.shape, Tissue.AIR, dtype=np.uint8)
    bone = np.zeros(labels.shape, dtype=np.uint8)
    has_filling = False
    middle = float(np.nonzero(labels)[0].mean())
    for value in np.unique(labels[labels > 0]).tolist():
        meaning = meaning_of(names.get(value, "")) or Meaning(tissue=Tissue.MUSCLE)
        if meaning_of(names.get(value, "")) is None:
            _log.warning("label %d (%s) is unknown: it counts as muscle", value, names.get(value, "no name"))
        has_filling |= meaning.is_filling
        here = labels == value
        if meaning.tissue is not None:
            tissue[here] = meaning.tissue
        else:
            _paint_bones(tissue, bone, here, meaning, middle)
    if not has_filling:
        _fill_body(tissue, spacing_mm)
    return tissue, bone


def _paint_bones(
    tissue: npt.NDArray[np.uint8],
    bone: npt.NDArray[np.uint8],
    here: npt.NDArray[np.bool_],
    meaning: Meaning,
    middle: float,
) -> None:
    """Paint a bone, or divide a label among several: by side about the middle, or by height."""
    places = np.nonzero(here)
    if meaning.bones == (Bone.FOREARM,) or len(meaning.bones) == 1:
        bone[here] = meaning.bones[0]
    elif len(meaning.bones) == 2:
        bone[places] = np.where(places[0] > middle, meaning.bones[0], meaning.bones[1])
    else:
        low, high = places[2].min(), places[2].max() + 1
        level = ((high - 1 - places[2]) * len(meaning.bones)) // (high - low)
        bone[places] = np.array(meaning.bones)[level]
    if meaning.part == "whole":
        core = np.asarray(ndimage.binary_erosion(here, border_value=True), dtype=bool)
        tissue[here] = Tissue.THIN_CORTEX
        tissue[core] = Tissue.MARROW
    else:
        parts = {"cortex": Tissue.CORTICAL_BONE, "marrow": Tissue.MARROW, "cavity": Tissue.MEDULLARY_CAVITY}
        tissue[here] = parts[meaning.part]


def _fill_body(tissue: npt.NDArray[np.uint8], spacing_mm: float) -> None:
    """Wrap organs and bones that come without a body into muscle and fat."""
    step = max(1, round(6.0 / spacing_mm))
    coarse = np.pad(tissue[::step, ::step, ::step] > 0, 8)
    closed = ndimage.binary_closing(coarse, iterations=7)
    solid = ndimage.binary_fill_holes(ndimage.binary_dilation(closed, iterations=2))
    depth = np.asarray(ndimage.distance_transform_edt(solid))[8:-8, 8:-8, 8:-8] * step * spacing_mm
    index = np.ix_(
        *(np.minimum(np.arange(n) // step, c - 1) for n, c in zip(tissue.shape, depth.shape, strict=True))
    )
    deep = depth[index]
    empty = tissue == Tissue.AIR
    tissue[empty & (deep > 0)] = Tissue.SUBCUTANEOUS_FAT
    tissue[empty & (deep > 16)] = Tissue.MUSCLE


def _person(folder: Path, source: LabelMap, tissue: npt.NDArray[np.uint8]) -> Person:
    """Return who it is, from `person.json` or from what can be seen."""
    facts: dict[str, Any] = {}
    path = folder / "person.json"
    if path.is_file():
        facts = json.loads(path.read_text(encoding="utf-8"))
    seen = "F" if (tissue == Tissue.UTERUS).any() or (tissue == Tissue.OVARY).any() else "M"
    sex = facts.get("sex", source.sex or seen)
    if sex not in ("F", "M"):
        raise SettingsError(f"need sex F or M in person.json, found {sex!r}")
    return Person(
        sex=sex,
        age_years=float(facts.get("age_years", 60.0)),
        stature_mm=float(facts.get("stature_mm", 1630.0 if sex == "F" else 1760.0)),
        adiposity=float(facts.get("adiposity", 0.0)),
    )
