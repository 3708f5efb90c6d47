"""The table of requirements names what exists, and the pages of the rules are what the code says."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from marrowmap.inference.clinical import ClinicalInput

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "requirements.md"
LAW = ROOT.parent / "shared" / "clinical-rules.md"
IDS = [f"A{n:02d}" for n in range(1, 56)] + [f"K{n:02d}" for n in range(1, 28)]
ROW = re.compile(r"^\| ([AK]\d\d) \| ([^|]+) \| ([^|]+) \|([^|]*)\|$")


@cache
def rows() -> dict[str, tuple[str, str, str]]:
    found = [ROW.match(line) for line in TABLE.read_text(encoding="utf-8").splitlines()]
    return {row[1]: (row[2], row[3], row[4]) for row in found if row}


def references(kind: str, key: str) -> list[str]:
    return re.findall(rf"`{kind}:([^`]+)`", rows()[key][2])


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@cache
def schema() -> dict[str, Any]:
    path = ROOT / "inference" / "report" / "report.schema.json"
    return json.loads(path.read_text(encoding="utf-8"))


def is_in_schema(pointer: str) -> bool:
    """Follow a key such as `lesions[].kind` through properties, items and references."""
    node: dict[str, Any] = schema()
    for part in pointer.replace("[]", ".[]").split("."):
        while "$ref" in node:
            node = schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        found = node.get("items") if part == "[]" else node.get("properties", {}).get(part)
        if found is None:
            return False
        node = found
    return True


def test_every_id_is_in_the_table_once_and_in_order() -> None:
    assert list(rows()) == IDS


@pytest.mark.parametrize("key", IDS)
def test_what_a_line_names_exists(key: str) -> None:
    status, _, _ = rows()[key]
    for reference in references("test", key):
        path, _, name = reference.partition("::")
        assert name in names_in(path), reference
    for pointer in references("report", key):
        assert is_in_schema(pointer), pointer
    known = {item.name for item in fields(ClinicalInput)}
    assert set(references("input", key)) <= known
    letters = set(re.findall(r"[RPCX]", status))
    if letters & {"R", "P"}:
        assert references("test", key) or references("report", key), f"{key} is {status} and names no output"
    if "C" in letters and "X" not in letters:
        assert references("input", key) or letters & {"R", "P"}, f"{key} is {status} and names no input"
    if letters == {"X"}:
        assert "out of scope" in rows()[key][1]


def test_the_checks_of_the_table_see_what_is_not_there() -> None:
    assert is_in_schema("lesions[].kind")
    assert not is_in_schema("lesions[].kindness")
    assert "test_no_such_test" not in names_in("tests/docs/test_requirements.py")


def test_the_letters_are_those_of_the_law() -> None:
    if not LAW.is_file():
        pytest.skip("the reference document of the requirements is not here")
    stated = {}
    for line in LAW.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) >= 5 and re.fullmatch(r"[AK]\d\d", cells[1]):
            # (C,R,A) are the letters of CRAB, not of the status.
            stated[cells[1]] = set(re.findall(r"\b[RPCX]\b", cells[3].replace("(C,R,A)", "")))
    ours = {key: set(re.findall(r"[RPCX]", status)) for key, (status, _, _) in rows().items()}
    assert ours == stated


@cache
def rule_pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rule_pages", ROOT / "docs" / "rule_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up by name.
    import sys

    sys.modules["rule_pages"] = module
    spec.loader.exec_module(module)
    return module


def test_every_rule_has_a_page() -> None:
    from marrowmap.inference.staging.all_rules import stage_all
    from marrowmap.inference.staging.imaging import ImagingFindings

    assert set(stage_all(ImagingFindings(), ClinicalInput())) <= set(rule_pages().RULES)


def test_the_pages_are_what_the_code_says() -> None:
    made = rule_pages().pages()
    folder = ROOT / "docs" / "rules"
    assert {path.name for path in folder.glob("*.md")} == set(made)
    old = [name for name, text in made.items() if (folder / name).read_text(encoding="utf-8") != text]
    assert not old, f"run docs/rule_pages.py: {', '.join(old)} differ from the code"


def test_a_page_tells_what_was_not_read() -> None:
    page = rule_pages().pages()["durie_salmon_plus.md"]
    assert "| 4 lesions of 12 mm | I |" in page
    assert "| 5 lesions of 12 mm | II |" in page
    assert "the abstract was read, the table in a mirror" in page
