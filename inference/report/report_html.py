"""The page for the radiologist: `report.html`, one file that opens offline.

The page carries its own script and style; its content policy allows these two, by their hashes,
and pictures inside the page. Nothing else can load or run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from marrowmap.inference.report import page_words, words
from marrowmap.inference.report.encode import data_uri
from marrowmap.inference.report.pictures import (
    CERTAIN,
    EQUIVOCAL,
    SET_ASIDE,
    Projection,
    ReportPictures,
    projection_files,
)
from marrowmap.inference.report.tables import lesions_by_volume

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

Report = Mapping[str, Any]


def render_html(report: Report, pictures: ReportPictures) -> str:
    """Return the whole page.

    Args:
        report: A report that follows the schema.
        pictures: What `draw_pictures` made of the same exam.
    """
    style, script = _resource("report.css"), _resource("report.js")
    return _template().render(
        policy=_content_policy(style, script),
        style=_raw(style),
        script=_raw(script),
        report=report,
        words=words,
        headline=words.headline(report),
        figures=page_words.key_figures(report),
        lesions=[_lesion_row(lesion, pictures) for lesion in lesions_by_volume(report)],
        regions=page_words.region_rows(report),
        evidence=page_words.pairs(report["pattern"]["evidence"]),
        stages=page_words.stage_cards(report),
        notices=page_words.notices(report),
        sequences_found=page_words.sequence_list(report),
        response=page_words.pairs(report["response"] or {}),
        histogram=page_words.histogram_bars(report),
        coronal=_projection(pictures.coronal),
        sagittal=_projection(pictures.sagittal),
        sprites={name: data_uri(jpeg) for name, jpeg in pictures.sprites.grey.items()},
        overlay=data_uri(pictures.sprites.overlay),
        viewer=_raw(_script_data(pictures)),
    )


def lesion_groups(report: Report) -> dict[int, int]:
    """Return the colour group of each lesion, by lesion id."""
    return {lesion["id"]: _group(lesion) for lesion in report["lesions"]}


def _group(lesion: Mapping[str, Any]) -> int:
    """Return how a lesion is coloured: what is set aside stays visible, but in another colour."""
    if lesion["certainty"] == "rejected" or lesion["suspected_benign"]:
        return SET_ASIDE
    return EQUIVOCAL if lesion["certainty"] == "equivocal" else CERTAIN


def _lesion_row(lesion: Mapping[str, Any], pictures: ReportPictures) -> dict[str, Any]:
    """Return one line of the lesion table, its texts ready to print."""
    return {
        "id": lesion["id"],
        "group": _group(lesion),
        "is_shown": lesion["id"] in pictures.markers,
        **page_words.lesion_texts(lesion),
    }


def _projection(projection: Projection) -> dict[str, Any]:
    """Return the two layers of a projection and their size in pixels."""
    grey, outline = projection_files(projection)
    rows, columns = projection.grey.shape
    return {"grey": data_uri(grey), "outline": data_uri(outline), "width": columns, "height": rows}


def _script_data(pictures: ReportPictures) -> str:
    """Return what the script needs, as JSON that cannot end its own element."""
    sprites = pictures.sprites
    data = {
        "shape": sprites.shape,
        "tile": sprites.tile,
        "across": sprites.tiles_across,
        "mm": [round(step, 4) for step in sprites.spacing_mm],
        "lesions": {
            str(lesion_id): [*marker.place, round(marker.radius, 1)]
            for lesion_id, marker in pictures.markers.items()
        },
    }
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


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
