"""Every `marrowmap` line that the documents tell people to type has options that the command knows."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from marrowmap.scripts.main import COMMANDS, main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPT = ROOT / "docs" / "tutorial.sh"


def lines_of(path: Path) -> list[list[str]]:
    """Return the words of every command line of ours in a page's code blocks, or in a script."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        text = "\n".join(re.findall(r"^```(?:bash|sh|powershell)\n(.*?)^```", text, re.M | re.S))
    joined = text.replace("\\\n", " ")
    found = re.findall(r"^\s*(marrowmap [^\n]*)", joined, re.M)
    return [shlex.split(line, comments=True) for line in found]


CASES = [(path.name, words) for path in (*PAGES, SCRIPT) for words in lines_of(path)]


@cache
def help_of(command: str) -> str:
    import contextlib
    import io

    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit):
        main([command, "--help"])
    return said.getvalue()


def test_the_documents_are_full_of_commands() -> None:
    assert len(CASES) > 40
    assert sum(name == SCRIPT.name for name, _ in CASES) >= 6


@pytest.mark.parametrize(("page", "words"), CASES, ids=lambda value: " ".join(value)[:60])
def test_a_command_of_the_documents_exists_with_its_options(page: str, words: list[str]) -> None:
    command, options = words[1], [word.partition("=")[0] for word in words[2:] if word.startswith("--")]
    assert command in COMMANDS, page
    known = set(re.findall(r"--[a-z][\w.-]*", help_of(command)))
    for option in options:
        spelt = {option, option.replace("_", "-"), option.replace("-", "_").replace("__", "--", 1)}
        assert spelt & known, f"{page}: marrowmap {command} knows no {option}"
