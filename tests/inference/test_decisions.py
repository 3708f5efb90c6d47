from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from marrowmap.data.errors import ReportFileError, SettingsError
from marrowmap.inference.decisions import DECISIONS_SCHEMA, findings_key, read_decisions
from marrowmap.scripts.revise import decisions_of

Decided = dict[str, Any]


def write(path: Path, *decisions: Decided, **more: Any) -> Path:
    found = {"schema": DECISIONS_SCHEMA, "study_instance_uid": "1.2.3", "findings": "abc", **more}
    path.write_text(json.dumps({**found, "decisions": list(decisions)}), encoding="utf-8")
    return path


def test_decisions_are_read_by_lesion(tmp_path: Path) -> None:
    path = write(
        tmp_path / "d.json", {"lesion": 3, "decision": "reject"}, {"lesion": 1, "decision": "accept"}
    )
    found = read_decisions(path)
    assert found.by_lesion == {3: "reject", 1: "accept"}
    assert (found.study_instance_uid, found.findings) == ("1.2.3", "abc")


@pytest.mark.parametrize(
    ("decisions", "more", "message"),
    [
        ([], {}, "decides nothing"),
        ([{"lesion": 3, "decision": "reject"}] * 2, {}, "names lesion 3 twice"),
        ([{"lesion": 3, "decision": "maybe"}], {}, "lesion 3 needs accept or reject, found 'maybe'"),
        ([{"lesion": "3", "decision": "reject"}], {}, "need a lesion id and a decision"),
        ([{"lesion": True, "decision": "reject"}], {}, "need a lesion id and a decision"),
        ([{"lesion": 3, "decision": "reject"}], {"schema": "other/1"}, "need marrowmap-decisions/1"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(
    tmp_path: Path, decisions: list[Decided], more: Decided, message: str
) -> None:
    with pytest.raises(ReportFileError, match=message):
        read_decisions(write(tmp_path / "d.json", *decisions, **more))


def test_a_file_that_is_missing_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportFileError, match=r"d\.json cannot be read: No such file"):
        read_decisions(tmp_path / "d.json")
    (tmp_path / "d.json").write_text("reject 3", encoding="utf-8")
    with pytest.raises(ReportFileError, match="is not JSON"):
        read_decisions(tmp_path / "d.json")


def test_the_key_follows_places_and_volumes_and_no_decision() -> None:
    lesion = {"id": 1, "centroid_ras_mm": [1.0, 2.0, 3.0], "volume_ml": 4.0, "certainty": "equivocal"}
    key = findings_key({"lesions": [lesion]})
    assert key == findings_key({"lesions": [lesion | {"certainty": "rejected"}]})
    assert key != findings_key({"lesions": [lesion | {"volume_ml": 4.1}]})
    assert key != findings_key({"lesions": []})


def test_an_id_named_on_the_command_line_overrules_the_file() -> None:
    assert decisions_of(reject="3", accept="", saved={3: "accept", 4: "accept"}) == {3: "reject", 4: "accept"}
    with pytest.raises(SettingsError, match="--decisions FILE"):
        decisions_of(reject="", accept="")
