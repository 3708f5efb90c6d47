"""The findings file: `report.json`, its schema and its check."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowmap.data.errors import ReportFileError

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

SCHEMA_NAME = "marrowmap-report/1"
REPORT_FILE = "report.json"


def validate_report(report: Mapping[str, Any]) -> None:
    """Check a whole report against the schema that ships with the package.

    Args:
        report: Plain JSON values: dicts, lists, strings, numbers, booleans, None.

    Raises:
        ReportFileError: Names the first wrong key, e.g. `lesions[2].volume_ml: -1.0 is less than
            the minimum of 0`.
    """
    errors = sorted(_validator().iter_errors(report), key=lambda error: list(map(str, error.absolute_path)))
    if errors:
        raise ReportFileError(f"{REPORT_FILE}, {_describe(_innermost(errors[0]))}; need {SCHEMA_NAME}")


def read_report(path: Path) -> dict[str, Any]:
    """Read and check a findings file.

    Args:
        path: A `report.json`, or the folder that `infer` wrote it into.

    Returns:
        The whole report.

    Raises:
        ReportFileError: If the file is missing, is not JSON or does not follow the schema.
    """
    file = path / REPORT_FILE if path.is_dir() else path
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReportFileError(f"no {REPORT_FILE} in {path.name}; name the output folder of `infer`") from None
    except (OSError, ValueError) as error:
        raise ReportFileError(f"{file.name} cannot be read as JSON ({error}); write it again") from error
    validate_report(report)
    return report


def report_text(report: Mapping[str, Any]) -> str:
    """Return the report as JSON text.

    Raises:
        ReportFileError: If a value is not plain JSON, or a number is not finite.
    """
    try:
        return json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ReportFileError(f"{REPORT_FILE} needs plain finite JSON values: {error}") from error


@cache
def _validator() -> Draft202012Validator:
    """Load the schema once; jsonschema costs a noticeable part of a second to import."""
    from jsonschema import Draft202012Validator

    schema = files("marrowmap.inference.report") / "report.schema.json"
    return Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))


def _innermost(error: ValidationError) -> ValidationError:
    """Return the error below `allOf` or `oneOf` that says which value is wrong."""
    while error.context:
        error = max(error.context, key=lambda inner: len(inner.absolute_path))
    return error


def _describe(error: ValidationError) -> str:
    """Return `lesions[2].volume_ml: what is wrong`."""
    return f"{_dotted(error.absolute_path) or 'the top level'}: {error.message[:200]}"


def _dotted(path: Iterable[str | int]) -> str:
    """Join keys with dots and list positions in brackets."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
