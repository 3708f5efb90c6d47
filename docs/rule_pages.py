"""Make `docs/rules/`: one page a rule, from the rule's own words and by running it.

Run `.venv/bin/python docs/rule_pages.py` after changing a rule; a test compares the pages with what this
would write. Nothing on a page is written by hand: the text is the docstring of the module and of its
functions, the table is what the code answers to the examples below.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from marrowmap.data.skeleton import Region
from marrowmap.inference.clinical import clinical_from_mapping
from marrowmap.inference.staging.all_rules import stage_all
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings
from marrowmap.inference.staging.rac import RAC_NAMES

PAGES = Path(__file__).parent / "rules"
WHOLE = {region: "complete" for region in Region}
#: Words of a docstring that say what was not read on the paper itself.
NOT_VERIFIED = re.compile(
    r"[^.;]*\b(mirrors?|general knowledge|not read|could not|was read in|read in a|reproductions|"
    r"abstract was read|abstract read|our choice|are ours|is ours|in print differ|not at all)\b[^.;]*[.;]"
)
MADE = "<!-- Made by docs/rule_pages.py from the code; do not edit. -->"


@dataclass(frozen=True, kw_only=True)
class Page:
    """Where a rule is written and what to try it on.

    Attributes:
        module: Below `marrowmap.inference.staging`.
        title: For a person.
        lesions: Numbers of lesions of 12 mm to try, in the lumbar spine.
        sizes_mm: Diameters of three lesions to try.
        grades: Diffuse grades to try.
        clinical: Clinical inputs to try.
        also: Further modules that hold parts of the rule.
    """

    module: str
    title: str
    also: tuple[str, ...] = ()
    lesions: tuple[int, ...] = ()
    sizes_mm: tuple[float, ...] = ()
    grades: tuple[str, ...] = ()
    clinical: tuple[Mapping[str, Any], ...] = ()


_FULL = {
    "plasma_cells_percent": 15.0, "calcium_mg_per_dl": 9.0, "calcium_upper_limit_mg_per_dl": 10.5,
    "creatinine_mg_per_dl": 0.9, "creatinine_clearance_ml_per_min": 90.0, "haemoglobin_g_per_dl": 13.0,
    "haemoglobin_lower_limit_g_per_dl": 12.5, "lytic_lesions_ct": 0, "flc_ratio": 3.0,
    "flc_involved_mg_per_l": 30.0, "biopsy_proven_plasmacytoma": False, "amyloidosis": False,
    "m_protein_type": "IgG", "m_protein_serum_g_per_dl": 2.0, "m_protein_urine_g_per_24h": 0.1,
}  # fmt: skip
_SMOULDERING = {key: value for key, value in _FULL.items() if not key.startswith("flc")}
_FISH = {"del17p": False, "t4_14": False, "t14_16": False, "gain_1q": False, "del13q": False}
_ISS = ((3.4, 3.5), (3.4, 3.4), (3.5, 3.5), (5.4, 4.0), (5.5, 4.0))


def _iss(b2m: float, albumin: float, **more: Any) -> dict[str, Any]:
    return {"beta2_microglobulin_mg_per_l": b2m, "albumin_g_per_dl": albumin, **more}


_DS = {
    "haemoglobin_g_per_dl": 11.0, "calcium_mg_per_dl": 9.5, "bone_scale": 0, "m_protein_type": "IgG",
    "m_protein_serum_g_per_dl": 2.0, "m_protein_urine_g_per_24h": 0.5, "creatinine_mg_per_dl": 1.0,
}  # fmt: skip
_LDH = {"ldh_u_per_l": 200.0, "ldh_upper_limit_u_per_l": 250.0}
_HIGH_LDH = {"ldh_u_per_l": 251.0, "ldh_upper_limit_u_per_l": 250.0}
COUNTS = (0, 1, 2, 4, 5, 7, 8, 9, 10, 11, 20, 21)

RULES: Mapping[str, Page] = {
    "durie_salmon": Page(
        module="durie_salmon",
        title="Durie-Salmon 1975",
        clinical=(
            _DS,
            _DS | {"haemoglobin_g_per_dl": 10.0},
            _DS | {"haemoglobin_g_per_dl": 8.5},
            _DS | {"haemoglobin_g_per_dl": 8.4},
            _DS | {"calcium_mg_per_dl": 12.0},
            _DS | {"calcium_mg_per_dl": 12.1},
            _DS | {"bone_scale": 3},
            _DS | {"creatinine_mg_per_dl": 1.9},
            _DS | {"creatinine_mg_per_dl": 2.0},
            {"haemoglobin_g_per_dl": 11.0},
        ),
    ),
    "durie_salmon_plus": Page(
        module="durie_salmon_plus",
        title="Durie-Salmon PLUS, imaging component",
        lesions=COUNTS,
        grades=("mild", "moderate", "severe"),
    ),
    "iss": Page(
        module="iss", title="International Staging System", clinical=tuple(_iss(*pair) for pair in _ISS)
    ),
    "r_iss": Page(
        module="r_iss",
        title="Revised International Staging System",
        clinical=(
            _iss(3.0, 4.0, fish=_FISH, **_LDH),
            _iss(3.0, 4.0, fish=_FISH, **_HIGH_LDH),
            _iss(3.0, 4.0, fish=_FISH | {"t4_14": True}, **_LDH),
            _iss(6.0, 4.0, fish=_FISH, **_LDH),
            _iss(6.0, 4.0, fish=_FISH, **_HIGH_LDH),
            _iss(6.0, 4.0, fish=_FISH | {"del17p": True}, **_LDH),
            _iss(3.0, 4.0, **_LDH),
            _iss(4.0, 4.0),
        ),
    ),
    "r2_iss": Page(
        module="r2_iss",
        title="Second revision of the International Staging System",
        clinical=(
            _iss(3.0, 4.0, fish=_FISH, **_LDH),
            _iss(3.0, 4.0, fish=_FISH | {"gain_1q": True}, **_LDH),
            _iss(6.0, 4.0, fish=_FISH, **_LDH),
            _iss(4.0, 4.0, fish=_FISH | {"gain_1q": True}, **_HIGH_LDH),
            _iss(6.0, 4.0, fish=_FISH | {"gain_1q": True}, **_HIGH_LDH),
        ),
    ),
    "imwg_2014": Page(
        module="imwg_2014",
        title="Diagnostic criteria of the IMWG, 2014",
        also=("imwg_events", "imwg_classes"),
        lesions=(0, 1, 2),
        clinical=(
            _FULL,
            _FULL | {"plasma_cells_percent": 9.9},
            _FULL | {"plasma_cells_percent": 59.9},
            _FULL | {"plasma_cells_percent": 60.0},
            _FULL | {"calcium_mg_per_dl": 11.1},
            _FULL | {"flc_ratio": 100.0, "flc_involved_mg_per_l": 100.0},
            _FULL | {"plasma_cells_percent": 0.0, "biopsy_proven_plasmacytoma": True},
            _FULL | {"plasma_cells_percent": 6.0, "biopsy_proven_plasmacytoma": True},
        ),
    ),
    "imwg_mri_mde": Page(module="imwg_mri", title="IMWG biomarker on MRI", lesions=(0, 1, 2, 3)),
    "smm_20_2_20": Page(
        module="smm_20_2_20",
        title="Smouldering myeloma, 20-2-20",
        clinical=tuple(
            _SMOULDERING
            | {"plasma_cells_percent": cells, "m_protein_serum_g_per_dl": protein}
            | {"flc_ratio": ratio, "flc_involved_mg_per_l": 50.0}
            for cells, protein, ratio in ((20, 2.0, 20), (21, 2.0, 20), (21, 2.1, 20), (21, 2.1, 21))
        ),
    ),
    "smm_imwg_points": Page(
        module="smm_imwg_points",
        title="Smouldering myeloma, points of the IMWG",
        clinical=tuple(
            _SMOULDERING
            | {"plasma_cells_percent": cells, "m_protein_serum_g_per_dl": protein, "fish": _FISH}
            | {"flc_ratio": ratio, "flc_involved_mg_per_l": 50.0}
            for cells, protein, ratio in ((15, 1.5, 10), (25, 1.5, 30), (25, 2.0, 30), (45, 3.1, 45))
        ),
    ),
    "walker_7_lesions": Page(module="walker", title="More than seven focal lesions", lesions=(0, 7, 8)),
    "rasche_large_lesions": Page(
        module="rasche", title="Three or more large lesions", sizes_mm=(20.0, 22.0, 22.3, 22.4, 23.0)
    ),
    "lecouvet_pattern": Page(
        module="lecouvet",
        title="Patterns of the vertebral marrow",
        lesions=(0, 1, 9, 10, 11),
        grades=("mild", "moderate"),
    ),
    "met_rads_p": Page(module="met_rads", title="MET-RADS-P"),
    "my_rads": Page(module="my_rads", title="MY-RADS"),
    "rac": Page(module="rac", title="Response assessment categories"),
    "prognosis": Page(module="prognosis", title="Prognostic notes"),
}


def main() -> int:
    """Write every page; say how many."""
    PAGES.mkdir(exist_ok=True)
    for name, text in pages().items():
        (PAGES / name).write_text(text, encoding="utf-8")
    print(f"{len(RULES)} rules in {PAGES}")
    return 0


def pages() -> dict[str, str]:
    """Return the text of every page by file name, the list of all among them."""
    made = {f"{key}.md": page_of(key, page) for key, page in RULES.items()}
    rows = [f"| [{page.title}]({key}.md) | `{key}` | {first_line(page)} |" for key, page in RULES.items()]
    head = ["# Rules", "", MADE, "", "| rule | key | what it is |", "|---|---|---|"]
    made["README.md"] = "\n".join([*head, *rows]) + "\n"
    return made


def page_of(key: str, page: Page) -> str:
    """Return one page."""
    module = import_module(f"marrowmap.inference.staging.{page.module}")
    parts = [f"# {page.title}", "", MADE, "", clean(module.__doc__ or ""), "", f"Key: `{key}`."]
    rule = next((value for value in vars(module).values() if getattr(value, "key", None) == key), None)
    if rule is not None:
        values = ", ".join(
            f"`{str(value).lower() if isinstance(value, bool) else value}`" for value in rule.values
        )
        parts += [f"Rule: `{rule.id}`. Source: {rule.source}.", f"Values: {values or 'none'}."]
    more = [import_module(f"marrowmap.inference.staging.{name}") for name in page.also]
    parts += ["", "## How it is applied", ""]
    parts += [line for one in (module, *more) for line in described(one)]
    table = list(answers(key, page))
    if table:
        parts += ["## What the code answers", "", "| given | answer |", "|---|---|", *table, ""]
    if key == "rac":
        parts += ["## Categories", "", *(f"- {number}: {name}" for number, name in RAC_NAMES.items()), ""]
    doubts = [doubt for one in (module, *more) for doubt in not_verified(one)]
    parts += ["## What was not verified on the paper, and what we chose", ""]
    parts += [f"- {doubt}" for doubt in doubts] or ["Nothing is marked."]
    return "\n".join(parts).rstrip() + "\n"


def first_line(page: Page) -> str:
    """Return the first sentence of a rule's module."""
    module = import_module(f"marrowmap.inference.staging.{page.module}")
    return clean(module.__doc__ or "").splitlines()[0].split(": 1 ")[0]


def described(module: Any) -> Iterator[str]:
    """Yield the docstrings of a module's public functions, each below its name."""
    for name, function in vars(module).items():
        is_own = inspect.isfunction(function) and function.__module__ == module.__name__
        if is_own and not name.startswith("_") and function.__doc__:
            yield from (f"### `{name}`", "", clean(function.__doc__), "")


def clean(docstring: str) -> str:
    """Return a docstring as paragraphs; the lists of arguments and errors are for the code."""
    text = inspect.cleandoc(docstring)
    return (
        re.split(r"\n(?:Args|Returns|Raises|Example):\n", text + "\n")[0].strip() if ":\n" in text else text
    )


def not_verified(module: Any) -> list[str]:
    """Return the clauses of a module's docstrings that say what was not read, or is our choice."""
    texts = [module.__doc__ or ""]
    texts += [
        value.__doc__
        for value in vars(module).values()
        if (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
        and value.__doc__
    ]
    found = []
    for text in texts:
        flat = " ".join(inspect.cleandoc(text).split()) + "."
        found += [match.group(0).strip(" .;") for match in NOT_VERIFIED.finditer(flat)]
    return list(dict.fromkeys(found))


def answers(key: str, page: Page) -> Iterator[str]:
    """Yield the rows of the table: what is given, and what the code says."""
    for number in page.lesions:
        yield _row(f"{number} lesions of 12 mm", _answer(key, _lumbar([12.0] * number), {}, page))
    for size in page.sizes_mm:
        yield _row(f"3 lesions of {size:g} x {size:g} mm", _answer(key, _lumbar([size] * 3), {}, page))
    for grade in page.grades:
        yield _row(f"no lesion, diffuse grade {grade}", _answer(key, _lumbar([], grade), {}, page))
    base = page.clinical[0] if page.clinical else {}
    for given in page.clinical:
        shown = given if given is base else {k: v for k, v in given.items() if base.get(k) != v} or given
        gone = [f"without {k}" for k in base if k not in given]
        start = [] if given is base else ["as the first, but"]
        yield _row(
            " ".join([*start, "; ".join([*_words(shown), *gone])]), _answer(key, _lumbar([]), given, page)
        )


def _answer(key: str, imaging: ImagingFindings, clinical: Mapping[str, Any], page: Page) -> str:
    given = clinical or (page.clinical[0] if page.clinical else {})
    result = stage_all(imaging, clinical_from_mapping(dict(given)))[key]
    if result.value is None:
        left = " or ".join(str(value) for value in result.candidates) or "does not apply"
        return f"unknown: {left}" if result.candidates else left
    return _plain(result.value) + (result.extras.get("suffix") or "")


def _lumbar(sizes_mm: list[float], grade: str = "none") -> ImagingFindings:
    lesions = tuple(
        FocalLesion(
            diameter_mm=size, uncertainty_mm=0.5, perpendicular_diameter_mm=size, region=Region.LUMBAR_SPINE
        )
        for size in sizes_mm
    )
    return ImagingFindings(lesions=lesions, diffuse_grade=grade, coverage=WHOLE)  # type: ignore[arg-type]


def _words(given: Mapping[str, Any]) -> list[str]:
    flat = {k: v for k, v in given.items() if k != "fish"}
    flat |= {f"fish {k}": v for k, v in (given.get("fish") or {}).items() if v}
    return [f"{k} {_plain(v)}" for k, v in flat.items()]


def _plain(value: Any) -> str:
    """Return a value as JSON would name it, without quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _row(given: str, answer: str) -> str:
    return f"| {given} | {answer} |"


if __name__ == "__main__":
    sys.exit(main())
