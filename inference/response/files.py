"""Comparing two output folders of `infer`, and what a comparison leaves on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from marrowmap.data.errors import GeometryError, ReportFileError
from marrowmap.data.model_input import ModelInput
from marrowmap.inference.findings import Findings
from marrowmap.inference.report.report_json import read_report
from marrowmap.inference.response.compare import CompareSettings, compare, trend_point
from marrowmap.inference.response.exam import compared_exam, read_compared
from marrowmap.inference.response.plot import TREND_FILE, trend_svg

RESPONSE_FILE = "response.json"


def compare_folders(
    baseline: Path, follow_up: Path, earlier: Sequence[Path] = (), settings: CompareSettings | None = None
) -> dict[str, Any]:
    """Compare two exams and write `response.json` and `trend.svg` beside the later one's report.

    Args:
        baseline: Output folder of the earlier exam.
        follow_up: Output folder of the later; its `report.json` stays as it is.
        earlier: Output folders of still earlier exams, oldest first, for the trend alone.
        settings: Every cut-off.

    Returns:
        The `response` object.

    Raises:
        ReportFileError: If a folder is no output of `infer`, or the exams are in the wrong order.
        GeometryError: If an exam shows no skeleton to register by.
    """
    before, after = read_compared(baseline), read_compared(follow_up)
    response = compare(before, after, settings)
    if earlier:
        response["history"] = [*(trend_point(read_report(out)) for out in earlier), response["history"][-1]]
    report = {**after.report, "response": response}
    (follow_up / RESPONSE_FILE).write_text(json.dumps(response, indent=2) + "\n", encoding="utf-8")
    write_trend(follow_up, report)
    return response


def add_response(report: dict[str, Any], prior: Path, findings: Findings, model_input: ModelInput) -> None:
    """Fill `response` of an exam that has just been read, against an earlier one.

    Args:
        report: The new exam's report; without a skeleton to register by, it gets a warning instead.
        prior: Output folder of the earlier exam.
        findings: The new exam's maps.
        model_input: Its volumes.

    Raises:
        ReportFileError: If the folder is no output of `infer`, or is dated after the new exam.
    """
    try:
        report["response"] = compare(read_compared(prior), compared_exam(report, findings, model_input))
    except GeometryError as error:
        text = f"Not compared with the earlier exam: {error}."
        report["study"]["warnings"].append({"code": "not_compared", "text": text})


def require_prior(prior: Path) -> None:
    """Refuse a folder that cannot be compared, before anything long is done.

    Raises:
        ReportFileError: Names what is missing.
    """
    from marrowmap.inference.revise import IMAGES_FILE

    read_report(prior)
    for name in ("lesions.nii.gz", "regions.nii.gz", "lesion_probability.nii.gz", IMAGES_FILE):
        if not (prior / name).is_file():
            raise ReportFileError(
                f"need {name} in {prior.name} to compare with it; run infer on that study again"
            )


def write_trend(folder: Path, report: Mapping[str, Any]) -> None:
    """Write the trend over all exams that are known; nothing without an earlier exam."""
    response = report["response"]
    if response:
        points = [*response["history"], trend_point(report)]
        (folder / TREND_FILE).write_text(trend_svg(points), encoding="utf-8", newline="\n")
