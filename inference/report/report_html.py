"""The page for the radiologist: `report.html`, one file that opens offline.

The page carries its own script and style; its content policy allows these two, by their hashes,
and pictures inside the page. Nothing else can load or run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from marrowmap.inference.report import page_words, words
from marrowmap.inference.report.encode import data_uri
from marrowmap.inference.report.page_body import body_figure, body_words
from marrowmap.inference.report.page_burden import ReviewMaps
from marrowmap.inference.report.page_data import page_data, script_json, sequence_labels
from marrowmap.inference.report.page_response import response_parts
from marrowmap.inference.report.page_review import review_data
from marrowmap.inference.report.pictures import CERTAIN, EQUIVOCAL, SET_ASIDE, ReportPictures
from marrowmap.inference.report.tables import lesions_by_volume
from marrowmap.inference.report.words_catalog import ENGLISH, Words

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

Report = Mapping[str, Any]

#: In this order they are one script: counting, images, the page.
SCRIPTS = ("report_review.js", "report_images.js", "report.js")


def render_html(
    report: Report, pictures: ReportPictures, maps: ReviewMaps | None = None, said: Words = ENGLISH
) -> str:
    """Return the whole page.

    Args:
        report: A report that follows the schema.
        pictures: What `draw_pictures` made of the same exam.
        maps: The maps beside the report; without them the page shows the findings and takes no decision.
        said: The language.
    """
    style, script = _resource("report.css"), "".join(map(_resource, SCRIPTS))
    review = {} if maps is None else review_data(report, maps)
    return _template().render(
        policy=_content_policy(style, script),
        style=_raw(style),
        script=_raw(script),
        report=report,
        words=words,
        t=said,
        data=_raw(script_json(page_data(report, pictures, review, said))),
        can_decide=bool(review),
        lesions=[_lesion_row(lesion, pictures, said) for lesion in lesions_by_volume(report)],
        **_findings(report, said),
        **_images(report, pictures, said),
    )


def lesion_groups(report: Report) -> dict[int, int]:
    """Return the colour group of each lesion, by lesion id."""
    return {lesion["id"]: _group(lesion) for lesion in report["lesions"]}


def _group(lesion: Mapping[str, Any]) -> int:
    """Return how a lesion is coloured: what is set aside stays visible, but in another colour."""
    if lesion["certainty"] == "rejected" or lesion["suspected_benign"]:
        return SET_ASIDE
    return EQUIVOCAL if lesion["certainty"] == "equivocal" else CERTAIN


def _findings(report: Report, said: Words) -> dict[str, Any]:
    """Return the texts of the sections that hold no image."""
    regions = page_words.region_rows(report, said)
    return {
        "headline": words.headline(report, said),
        "figures": page_words.key_figures(report, said),
        "regions": regions,
        "body": body_figure(regions),
        "body_words": body_words(regions, said),
        "evidence": page_words.evidence_lines(report, said),
        "pattern_line": page_words.pattern_line(report, said),
        "stages": page_words.stage_cards(report, said),
        "notices": page_words.notices(report, said),
        "biopsy": page_words.biopsy_lines(report, said),
        "sequences_found": page_words.sequence_list(report, said),
        "notes": page_words.note_lines(report, said),
        "response": response_parts(report, said),
        "histogram": page_words.histogram_bars(report),
        "reader": page_words.reader_line(report, said),
    }


def _images(report: Report, pictures: ReportPictures, said: Words) -> dict[str, Any]:
    """Return the pictures as addresses within the page."""
    return {
        "sprites": {name: data_uri(jpeg) for name, jpeg in pictures.sprites.grey.items()},
        "sequence_labels": sequence_labels(report, pictures.sprites.grey),
        "spin": data_uri(pictures.rotation.jpeg),
        "spin_views": pictures.rotation.views,
        "mip": data_uri(pictures.mip_png),
    }


def _lesion_row(lesion: Mapping[str, Any], pictures: ReportPictures, said: Words) -> dict[str, Any]:
    """Return one line of the lesion table, its texts ready to print."""
    return {
        "id": lesion["id"],
        "group": _group(lesion),
        "is_shown": lesion["id"] in pictures.markers,
        "is_rejected": lesion["certainty"] == "rejected",
        **page_words.lesion_texts(lesion, said),
    }


def _content_policy(style: str, script: str) -> str:
    """Return the policy: nothing but this style, this script and pictures within the page."""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    """Return the source expression that allows exactly this inline text."""
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def _resource(name: str) -> str:
    """Return a text file that ships beside this module."""
    return (files("marrowmap.inference.report") / name).read_text(encoding="utf-8")


def _raw(text: str) -> Markup:
    """Mark our own text as markup; a report's values never pass through here."""
    from markupsafe import Markup

    return Markup(text)


@cache
def _template() -> Template:
    """Compile the page once; every value is escaped, a forgotten name is an error."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_resource("report.html.j2"))
