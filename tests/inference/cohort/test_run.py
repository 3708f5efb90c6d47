"""A cohort in one process: a row an exam, nothing done twice, nobody named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from marrowmap.data.errors import ClinicalInputError, CohortError, EngineError
from marrowmap.inference.cohort.run import Model

Rows = Callable[..., list[dict[str, Any]]]
Run = Callable[..., dict[str, Any]]
Studies = Callable[..., Path]


def calls(out: Path) -> int:
    """How often an exam was really read."""
    return sum(len(path.read_text()) for path in out.glob("outputs/*/*.calls"))


def test_every_exam_has_one_row_and_its_lesions_and_rules(studies: Studies, run: Run, rows: Rows) -> None:
    found = run(studies(a=0, b=2, c=7))
    assert found["rows"] == {"exams": 3, "lesions": 9, "rules": 6}
    assert sorted(row["tumour_volume_ml"] for row in rows("exams")) == [0.0, 4.0, 14.0]
    by_exam = {row["exam"]: row["lesions_visible"] for row in rows("exams")}
    lesions = [row["exam"] for row in rows("lesions")]
    assert {exam: lesions.count(exam) for exam in by_exam} == by_exam
    walker = {row["exam"]: row["value"] for row in rows("rules") if row["rule"] == "walker_7_lesions"}
    assert {by_exam[exam]: value for exam, value in walker.items()} == {0: "false", 2: "false", 7: "true"}


def test_what_is_done_is_not_done_again_and_what_is_new_is(
    studies: Studies, run: Run, tmp_path: Path
) -> None:
    run(studies(a=1, b=2))
    assert calls(tmp_path / "out") == 2
    run(studies(a=1, b=2, c=3))
    # a and b were written anew, with the same content: looked into, not read again.
    assert calls(tmp_path / "out") == 3


def test_a_study_that_moved_is_known_by_its_content(studies: Studies, run: Run, tmp_path: Path) -> None:
    run(studies(a=1, b=2))
    shutil.move(tmp_path / "studies", tmp_path / "elsewhere")
    assert run(tmp_path / "elsewhere")["exams"] == 2
    assert calls(tmp_path / "out") == 2


def test_a_study_that_changed_is_read_anew_and_has_one_row(studies: Studies, run: Run, rows: Rows) -> None:
    run(studies(a=1, b=2))
    run(studies(a=5))
    assert sorted(row["lesions_visible"] for row in rows("exams")) == [2, 5]


def test_another_model_reads_everything_anew(studies: Studies, run: Run, rows: Rows, tmp_path: Path) -> None:
    run(studies(a=1, b=2))
    run(tmp_path / "studies", model=Model(name="stand-in 2"))
    assert calls(tmp_path / "out") == 4
    assert [row["model"] for row in rows("exams")] == ["stand-in 2"] * 2


def test_the_same_content_twice_in_the_list_is_one_row(studies: Studies, run: Run, tmp_path: Path) -> None:
    shutil.copytree(studies(a=1) / "a", tmp_path / "studies" / "copy of a")
    found = run(tmp_path / "studies")
    assert (found["exams"], found["repeated"]) == (1, 1)
    assert calls(tmp_path / "out") == 1


def test_a_poison_exam_fails_alone_with_its_reason(studies: Studies, run: Run, rows: Rows) -> None:
    refusal = "no high-b diffusion series: found b = [50] s/mm2"
    found = run(studies(a=1, bad={"refusal": refusal}, broken={"defect": True}, z=2))
    assert found["by_state"] == {"done": 2, "failed": 1, "refused": 1}
    reasons = {row["state"]: row["reason"] for row in rows("exams")}
    assert reasons["refused"] == refusal
    assert reasons["failed"].startswith("a defect of ours: KeyError in cohort_stand_in:")
    assert "Doe" not in reasons["failed"]


def test_refused_is_final_and_failed_is_tried_again(studies: Studies, run: Run, tmp_path: Path) -> None:
    where = studies(a={"refusal": "no"}, b={"defect": True})

    def written() -> dict[str, int]:
        files = (tmp_path / "out").glob("ledger/*/exams/*/*.json")
        return {json.loads(path.read_text())["state"]: path.stat().st_mtime_ns for path in files}

    run(where)
    before = written()
    assert run(where)["by_state"] == {"failed": 1, "refused": 1}
    assert written()["refused"] == before["refused"]
    assert written()["failed"] > before["failed"]


def test_a_name_of_a_folder_reaches_no_reason(studies: Studies, run: Run, rows: Rows) -> None:
    words = "no DICOM image in DOE_JANE_19700101, study 1.2.840.113619.2.5 of 2021-03-04"
    run(studies(DOE_JANE_19700101={"refusal": words}))
    assert rows("exams")[0]["reason"] == "no DICOM image in (name), study (uid) of (date)"


def test_no_file_but_the_outputs_names_a_study(studies: Studies, run: Run, tmp_path: Path) -> None:
    run(studies(DOE_JANE=2, ROE_RICHARD={"refusal": "cannot read ROE_RICHARD"}))
    shutil.rmtree(tmp_path / "out" / "outputs")
    for path in (tmp_path / "out").rglob("*"):
        assert "DOE" not in path.name
        assert not path.is_file() or not {b"DOE", b"ROE", b"JANE"} & set(path.read_bytes().split(b"_"))
        assert not path.is_file() or b"DOE" not in path.read_bytes()


def test_ages_from_ninety_are_one_group_and_the_vendor_is_a_known_word(
    studies: Studies, run: Run, rows: Rows
) -> None:
    run(studies(a=1))
    row = rows("exams")[0]
    assert (row["age_years"], row["vendor"], row["sex"]) == (90, "siemens", "F")
    assert row["warnings"] == ["low_signal"]


def test_an_exam_over_which_the_program_ended_comes_last_and_is_given_up_in_the_end(
    studies: Studies, run: Run, rows: Rows, stand_in: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EndedError(BaseException):
        """Stands in for a crash: nothing catches it."""

    def infer(*_: Any, **__: Any) -> None:
        raise EndedError

    where = studies(a={"kills": True}, b=1, c=2)
    quietly = stand_in.StandIn.infer
    for _ in range(5):
        with monkeypatch.context() as patch:
            patch.setattr(
                stand_in.StandIn,
                "infer",
                lambda self, study, out, **words: (
                    infer() if study.name == "a" else quietly(self, study, out, **words)
                ),
            )
            with pytest.raises(EndedError):
                run(where)
    found = run(where)
    assert found["by_state"] == {"done": 2, "failed": 1}
    assert [row["reason"] for row in rows("exams") if row["state"] == "failed"] == [
        "the program ended 5 times at this exam"
    ]


def test_a_fault_of_the_machine_ends_the_run_instead_of_refusing_every_exam(
    studies: Studies, run: Run, stand_in: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def infer(*_: Any, **__: Any) -> None:
        raise EngineError("no engine")

    monkeypatch.setattr(stand_in.StandIn, "infer", infer)
    with pytest.raises(EngineError, match="no engine"):
        run(studies(a=1))
    assert json.loads((tmp_path / "out" / "progress.json").read_text())["phase"] == "stopped"
    monkeypatch.undo()
    assert run(tmp_path / "studies")["by_state"] == {"done": 1}


def test_a_clinical_row_reaches_its_exam_and_a_new_value_reads_it_anew(
    studies: Studies, run: Run, rows: Rows, tmp_path: Path
) -> None:
    table = tmp_path / "clinical.csv"
    table.write_text("study,albumin_g_per_dl,fish.del17p\na,4.1,no\n")
    run(studies(a=1, b=1), clinical=table)
    status = sorted(row["status"] for row in rows("rules") if row["rule"] == "iss")
    assert status == ["complete", "unknown"]
    assert calls(tmp_path / "out") == 2
    table.write_text("study,albumin_g_per_dl,fish.del17p\na,3.9,no\n")
    run(tmp_path / "studies", clinical=table)
    assert calls(tmp_path / "out") == 3
    assert len(rows("exams")) == 2


def test_an_implausible_clinical_value_is_that_exams_own_failure(
    studies: Studies, run: Run, rows: Rows, tmp_path: Path
) -> None:
    table = tmp_path / "clinical.csv"
    table.write_text("study,albumin_g_per_dl\na,4100\nb,4.1\n")
    assert run(studies(a=1, b=1), clinical=table)["by_state"] == {"done": 1, "refused": 1}
    assert any("albumin_g_per_dl" in (row["reason"] or "") for row in rows("exams"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study,albumin\na,4\n", "albumin: no such clinical field"),
        ("albumin_g_per_dl\n4\n", "need a column study_uid, study, patient_id"),
        ("study,age_years\na,50\na,51\n", "row 3: its study stands twice"),
        ("study,age_years\n,50\n", "row 2: need one of"),
    ],
)
def test_a_wrong_clinical_table_is_refused_before_anything_is_read(
    text: str, message: str, studies: Studies, run: Run, tmp_path: Path
) -> None:
    table = tmp_path / "clinical.csv"
    table.write_text(text)
    with pytest.raises(ClinicalInputError, match=message):
        run(studies(a=1), clinical=table)
    assert not (tmp_path / "out").exists()


def test_two_programs_do_not_work_in_one_folder(
    studies: Studies, run: Run, stand_in: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def infer(*_: Any, **__: Any) -> None:
        with pytest.raises(CohortError, match="another marrowmap works in out"):
            run(tmp_path / "studies")
        raise EngineError("seen")

    monkeypatch.setattr(stand_in.StandIn, "infer", infer)
    with pytest.raises(EngineError, match="seen"):
        run(studies(a=1))


def test_another_key_in_the_same_folder_is_refused(studies: Studies, run: Run, tmp_path: Path) -> None:
    run(studies(a=1))
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    with pytest.raises(CohortError, match="begun with another key"):
        run(tmp_path / "studies", key_file=key)
    assert oct(os.stat(tmp_path / "out" / "pseudonym.key").st_mode & 0o777) == "0o600"


def test_a_short_key_is_refused(studies: Studies, run: Run, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    with pytest.raises(CohortError, match="need a key of 16 bytes or more in key, found 6"):
        run(studies(a=1), key_file=tmp_path / "key")


def test_the_same_key_makes_the_same_pseudonyms_elsewhere(
    studies: Studies, run: Run, rows: Rows, tmp_path: Path
) -> None:
    run(studies(a=1))
    run(tmp_path / "studies", out=tmp_path / "two", key_file=tmp_path / "out" / "pseudonym.key")
    run(tmp_path / "studies", out=tmp_path / "three")
    exams = [rows("exams", tmp_path / name)[0]["exam"] for name in ("out", "two", "three")]
    assert exams[0] == exams[1] != exams[2]


def test_outputs_are_optional_and_the_tables_remain(
    studies: Studies, run: Run, rows: Rows, tmp_path: Path
) -> None:
    run(studies(a=1), keep_outputs=False)
    assert not (tmp_path / "out" / "outputs").exists()
    assert run(tmp_path / "studies", keep_outputs=False)["exams"] == 1
    assert len(rows("exams")) == 1


def test_an_empty_folder_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    with pytest.raises(CohortError, match="no study found; need a folder of studies"):
        run(tmp_path / "studies")
