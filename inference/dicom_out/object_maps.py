"""What the objects of one exam are made of: its maps, who made it, who signed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Array3D
from marrowmap.data.grid import Grid
from marrowmap.inference.dicom_out.provenance import Maker, digest_of
from marrowmap.inference.signature import Signature

Report = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectMaps:
    """The maps that the objects show, on one grid.

    Attributes:
        lesion_labels: uint16 `(i, j, k)`.
        regions: uint8 `(i, j, k)`.
        grid: Their grid, axis-aligned RAS+.
        signal: High-b diffusion, for the composed series; None on a revision, which keeps the series.
        adc: um2/s, for the map on demand.
        lesion_probability: In [0, 1], for the map on demand.
    """

    lesion_labels: npt.NDArray[np.integer]
    regions: npt.NDArray[np.integer]
    grid: Grid
    signal: Array3D | None = None
    adc: Array3D | None = None
    lesion_probability: Array3D | None = None


def maker_of(report: Report, object_maps: ObjectMaps) -> Maker:
    """Return who makes the objects; UIDs follow from the maps and the weights, not from the decisions."""
    program = str((report.get("run") or {}).get("program_version") or report["model"]["version"])
    labels = np.ascontiguousarray(object_maps.lesion_labels, dtype=np.uint16)
    seed = digest_of([labels.tobytes(), str(report["model"]["sha256"]).encode(), program.encode()])
    study_uid = str(report["study"]["study_instance_uid"])
    return Maker(program_version=program, model=report["model"], study_uid=study_uid, seed=seed)


def reader_of(report: Report) -> Signature | None:
    """Return who signed the report, None before a reader has."""
    signed = (report.get("revision") or {}).get("signed_by")
    return signed and Signature(name=signed["name"], organization=signed["organization"])
