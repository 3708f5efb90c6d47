"""What the rules need of the images: a small value, built from a report or written by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from marrowmap.data.errors import ReportFileError
from marrowmap.data.skeleton import Region
from marrowmap.models.calibration import NO_SPREAD, CountSpread

Certainty = Literal["certain", "equivocal", "rejected"]
Kind = Literal["focal", "paramedullary", "extramedullary"]
DiffuseGrade = Literal["none", "mild", "moderate", "severe"]
Coverage = Literal["complete", "partial", "absent"]

#: Diameters without a stated uncertainty get one voxel of the finest sequence (Dixon, 1.6 mm in plane).
DEFAULT_UNCERTAINTY_MM = 1.6


@dataclass(frozen=True, kw_only=True)
class FocalLesion:
    """One lesion, as far as a rule cares.

    Attributes:
        diameter_mm: Longest diameter.
        uncertainty_mm: The true diameter lies within this of the measured one.
        certainty: `rejected` is a reader's decision and counts nowhere.
        probability: That it is a lesion, in [0, 1]; None when nobody said.
        perpendicular_diameter_mm: Longest extent at right angles to the diameter.
        region: Where it lies; None when not known, or away from the skeleton.
        kind: `paramedullary` lesions are of bone and count with the focal ones; extramedullary do not.
        is_active: Whether its ADC is that of viable disease; None when not known.
        focal_probability: Calibrated probability that it is a lesion of 5 mm or more; None when nobody said.
    """

    diameter_mm: float
    uncertainty_mm: float = DEFAULT_UNCERTAINTY_MM
    certainty: Certainty = "certain"
    probability: float | None = None
    perpendicular_diameter_mm: float | None = None
    region: Region | None = None
    kind: Kind = "focal"
    is_active: bool | None = None
    focal_probability: float | None = None


@dataclass(frozen=True, kw_only=True)
class ImagingFindings:
    """What one exam showed, as far as a rule cares.

    Attributes:
        lesions: Every lesion, rejected ones included.
        diffuse_grade: Grade of diffuse infiltration, None when it could not be told.
        is_micronodular: Many nodules below 5 mm were described; None leaves it to the lesions.
        coverage: How much of each region was imaged; None when it was not stated.
        extramedullary_disease: Seen by a reader; None leaves it to the lesions.
        spread: How far the count spreads around the lesions listed; by a calibrated network.
    """

    lesions: tuple[FocalLesion, ...] = ()
    diffuse_grade: DiffuseGrade | None = None
    is_micronodular: bool | None = None
    coverage: Mapping[Region, Coverage] | None = None
    extramedullary_disease: bool | None = None
    spread: CountSpread = NO_SPREAD


def read_imaging(path: Path) -> ImagingFindings:
    """Read findings from a `report.json`, or from a hand-written subset of it in JSON or YAML.

    Raises:
        ReportFileError: If the file cannot be read, or names the key that is wrong.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8-sig")
        report = json.loads(text) if file.suffix.lower() == ".json" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise ReportFileError(f"findings file {file.name} cannot be read: {reason}") from None
    except (ValueError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise ReportFileError(f"findings file {file.name} is neither JSON nor YAML: {first}") from None
    return imaging_from_report(report)


def imaging_from_report(report: Any) -> ImagingFindings:
    """Return what the rules need of a report.

    Args:
        report: `report.json` as read, or a subset with `lesions[]` (each with `longest_diameter_mm` and
            `certainty`) and `pattern.diffuse_grade`. Everything else may be absent and is then unknown.

    Raises:
        ReportFileError: Names the key that is missing or wrong.
    """
    if not isinstance(report, Mapping) or not isinstance(report.get("lesions"), list):
        raise ReportFileError(
            "findings need a list `lesions`; an empty list says that none was found; "
            "give a report.json or the subset that `marrowmap stage --help` describes"
        )
    pattern = _part(report, "pattern")
    coverage = _part(_part(report, "study"), "coverage")
    return ImagingFindings(
        lesions=tuple(_lesion(entry, position) for position, entry in enumerate(report["lesions"])),
        diffuse_grade=_choice(pattern, "diffuse_grade", get_args(DiffuseGrade), "pattern"),
        is_micronodular=True if pattern.get("label") == "micronodular" else None,
        coverage={_region(key, "study.coverage"): _state(key, state) for key, state in coverage.items()}
        or None,
        spread=_spread(_part(_part(report, "doubt"), "spread")),
    )


def _lesion(entry: Any, position: int) -> FocalLesion:
    """Return one entry of `lesions[]`."""
    where = f"lesions[{position}]"
    if not isinstance(entry, Mapping):
        raise ReportFileError(f"{where}: need a lesion with its keys, found {entry!r}")
    diameter = _number(entry, "longest_diameter_mm", where, high=1000.0)
    certainty = _choice(entry, "certainty", get_args(Certainty), where)
    if diameter is None or certainty is None:
        name = "longest_diameter_mm" if diameter is None else "certainty"
        raise ReportFileError(f"{where}.{name}: missing; every lesion needs it")
    uncertainty = _number(entry, "diameter_uncertainty_mm", where, high=100.0)
    perpendicular = _number(entry, "perpendicular_diameter_mm", where, high=diameter + 0.01)
    region = entry.get("region")
    status = _choice(entry, "status", ("active", "treated", "indeterminate"), where)
    return FocalLesion(
        diameter_mm=diameter,
        uncertainty_mm=DEFAULT_UNCERTAINTY_MM if uncertainty is None else uncertainty,
        certainty=certainty,
        probability=_number(entry, "probability", where, high=1.0),
        perpendicular_diameter_mm=perpendicular,
        region=None if region is None else _region(region, f"{where}.region"),
        kind=_choice(entry, "kind", get_args(Kind), where) or "focal",
        is_active={"active": True, "treated": False}.get(status or ""),
        focal_probability=_number(entry, "focal_probability", where, high=1.0),
    )


def _spread(part: Mapping[str, Any]) -> CountSpread:
    """Return the spread of the count; where nothing is said, that of independent lesions."""
    names = ("missed", "missed_per_lesion", "missed_size", "exam_log_odds_sd")
    values = {name: _number(part, name, "doubt.spread", high=1000.0) for name in names}
    return CountSpread(**{name: value for name, value in values.items() if value is not None})


def _part(report: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a nested object, empty when absent."""
    part = report.get(key)
    if part is not None and not isinstance(part, Mapping):
        raise ReportFileError(f"{key}: need keys and values, found {part!r}")
    return part or {}


def _number(entry: Mapping[str, Any], key: str, where: str, *, high: float) -> float | None:
    """Return a number of 0 to `high`, None when absent."""
    value = entry.get(key)
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not 0.0 <= value <= high:
        raise ReportFileError(f"{where}.{key}: need a number of 0 to {high:g}, found {value!r}")
    return float(value)


def _choice(entry: Mapping[str, Any], key: str, choices: tuple[str, ...], where: str) -> Any:
    """Return one of the words that a key may hold, None when absent."""
    value = entry.get(key)
    if value is not None and value not in choices:
        raise ReportFileError(f"{where}.{key}: need one of {', '.join(choices)}, found {value!r}")
    return value


def _region(key: Any, where: str) -> Region:
    """Return a region by its key."""
    for region in Region:
        if region.key == key:
            return region
    names = ", ".join(region.key for region in Region)
    raise ReportFileError(f"{where}: need one of {names}, found {key!r}")


def _state(key: str, state: Any) -> Coverage:
    """Return how much of a region was imaged."""
    return _choice({key: state}, key, get_args(Coverage), "study.coverage") or "absent"
