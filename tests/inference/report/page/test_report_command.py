from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marrowmap.data.errors import ReportFileError, SettingsError
from marrowmap.inference.report.write import page_language
from marrowmap.inference.revise import revise_folder
from marrowmap.scripts import report as report_command

Exam = tuple[Path, Any]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_page_is_written_again_in_french_and_nothing_else_changes(
    make_exam: Callable[..., Exam], capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = make_exam(lesions=3, seed=6)
    before = contents(out)
    assert page_language(out) == "en"
    assert report_command.main(["--language", "fr", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out / "report.html")
    after = contents(out)
    page = after.pop("report.html").decode("utf-8")
    del before["report.html"]
    assert after == before
    assert "Réservé à la recherche" in page
    assert page_language(out) == "fr"


def test_a_revision_keeps_the_language_of_the_page(make_exam: Callable[..., Exam]) -> None:
    out, _ = make_exam(lesions=3, seed=6)
    report_command.main(["--language", "de", str(out)])
    revise_folder(out, {1: "reject"})
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Nur für Forschungszwecke" in page
    assert "1 Läsionen verworfen, 0 angenommen" in page


def test_written_again_from_the_same_files_the_page_is_the_same(make_exam: Callable[..., Exam]) -> None:
    out, _ = make_exam(lesions=3, seed=6)
    report_command.main(["--language", "de", str(out)])
    before = contents(out)
    report_command.main([str(out)])
    assert contents(out) == before


def test_an_unknown_language_or_a_folder_without_images_is_refused(make_exam: Callable[..., Exam]) -> None:
    out, _ = make_exam(lesions=3, seed=6)
    with pytest.raises(SettingsError, match="need a language of en, fr, de, found 'it'"):
        report_command.main(["--language", "it", str(out)])
    (out / "images.npz").unlink()
    with pytest.raises(ReportFileError, match=r"need images\.npz beside the report"):
        report_command.main(["--language", "fr", str(out)])
    assert page_language(out) == "en"
