"""The reader's decisions as a file: the page of a report saves it, `marrowmap revise` takes it.

A file names the study and a key of the lesions that it was made on. Decisions on another study, or on
another result of the same study, are refused: there the same numbers are other lesions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marrowmap.data.errors import ReportFileError
from marrowmap.inference.report.report_json import read_report
from marrowmap.inference.revise import Decision

DECISIONS_SCHEMA = "marrowmap-decisions/1"
NEXT_STEP = "save the decisions again from the report.html beside the report"


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What a reader decided.

    Attributes:
        by_lesion: By lesion id.
        study_instance_uid: Study that was read, empty for one without DICOM.
        findings: Key of the lesions that were read, from `findings_key`.
    """

    by_lesion: Mapping[int, Decision]
    study_instance_uid: str
    findings: str


def decisions_for(out: Path, path: Path) -> dict[int, Decision]:
    """Read decisions on the report in a folder.

    Args:
        out: Folder with `report.json`.
        path: The file of decisions.

    Returns:
        The decision by lesion id.

    Raises:
        ReportFileError: If the file is not whole, or belongs to another study or another result of it.
    """
    decisions, report = read_decisions(path), read_report(out)
    if decisions.study_instance_uid != report["study"]["study_instance_uid"]:
        raise ReportFileError(f"{path.name} holds decisions on another study; {NEXT_STEP}")
    if decisions.findings != findings_key(report):
        raise ReportFileError(f"{path.name} was made on other lesions of this study; {NEXT_STEP}")
    return dict(decisions.by_lesion)


def read_decisions(path: Path) -> Decisions:
    """Read a file of decisions.

    Raises:
        ReportFileError: If it cannot be read, decides nothing, or names a lesion twice.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportFileError(f"{path.name} cannot be read: {error.strerror}; {NEXT_STEP}") from error
    except ValueError as error:
        raise ReportFileError(f"{path.name} is not JSON ({error}); {NEXT_STEP}") from error
    if not isinstance(found, Mapping) or found.get("schema") != DECISIONS_SCHEMA:
        raise ReportFileError(f"{path.name}: need {DECISIONS_SCHEMA}; {NEXT_STEP}")
    entries = found.get("decisions")
    if not isinstance(entries, list) or not entries:
        raise ReportFileError(f"{path.name} decides nothing; {NEXT_STEP}")
    pairs = [_entry(entry, path.name) for entry in entries]
    twice = sorted({lesion for lesion, _ in pairs if sum(other == lesion for other, _ in pairs) > 1})
    if twice:
        raise ReportFileError(f"{path.name} names lesion {twice[0]} twice; {NEXT_STEP}")
    return Decisions(
        by_lesion=dict(pairs),
        study_instance_uid=str(found.get("study_instance_uid", "")),
        findings=str(found.get("findings", "")),
    )


def findings_key(report: Mapping[str, Any]) -> str:
    """Return a key of a report's lesions: where they are and how large, whatever was decided on them."""
    lesions = [[entry["id"], entry["centroid_ras_mm"], entry["volume_ml"]] for entry in report["lesions"]]
    return hashlib.sha256(json.dumps(lesions, separators=(",", ":")).encode()).hexdigest()[:32]


def _entry(entry: Any, name: str) -> tuple[int, Decision]:
    """Return one decision."""
    lesion = entry.get("lesion") if isinstance(entry, Mapping) else None
    if not isinstance(lesion, int) or isinstance(lesion, bool):
        raise ReportFileError(f"{name}: need a lesion id and a decision, found {entry!r}; {NEXT_STEP}")
    decision = entry.get("decision")
    if decision not in ("accept", "reject"):
        raise ReportFileError(
            f"{name}: lesion {lesion} needs accept or reject, found {decision!r}; {NEXT_STEP}"
        )
    return lesion, decision
