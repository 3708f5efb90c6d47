"""`marrowmap evaluate PREDICTIONS REFERENCES`: how good predictions are."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from marrowmap.training.evaluation.settings import EvaluationSettings

#: Rules whose answer imaging alone can give; each on the same grounds for reference and prediction.
RULES = ("durie_salmon_plus", "imwg_mri_mde")


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0. Errors of the input are raised as `MarrowmapError`, wrong options exit 2.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    made = parser.instantiate(options)
    settings = EvaluationSettings(**{f.name: getattr(made, f.name) for f in fields(EvaluationSettings)})

    from marrowmap.training.evaluation.evaluate import as_json, evaluate
    from marrowmap.training.evaluation.text import table

    evaluation = evaluate(
        options.predictions, options.references, settings, stage=stages, against=options.against
    )
    if options.html:
        from marrowmap.training.evaluation.page import write_page

        write_page(evaluation, options.html)
    if options.markdown:
        from marrowmap.training.evaluation.markdown import markdown

        options.markdown.write_text(markdown(evaluation), encoding="utf-8")
    print(json.dumps(as_json(evaluation), indent=2) if options.json else table(evaluation))
    return 0


def stages(findings: Mapping[str, Any]) -> dict[str, str]:
    """Return what the imaging rules say of findings; `unknown` where several values stay possible."""
    from marrowmap.inference.clinical import ClinicalInput
    from marrowmap.inference.staging.all_rules import stage_all
    from marrowmap.inference.staging.imaging import imaging_from_report

    results = stage_all(imaging_from_report(findings), ClinicalInput())
    values = {rule: results[rule].value for rule in RULES}
    return {rule: "unknown" if value is None else str(value) for rule, value in values.items()}


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="marrowmap evaluate", description="Compare outputs of infer with references of the same names."
    )
    parser.add_argument("predictions", type=Path, help="Folder of outputs of infer, or one output.")
    parser.add_argument("references", type=Path, help="Folder of references (see simulate), or one.")
    parser.add_argument("--against", type=Path, help="Other outputs of the same exams, to compare with.")
    parser.add_argument("--html", type=Path, help="Write one page with plots, which opens offline.")
    parser.add_argument("--markdown", type=Path, help="Write all figures and subgroups for a model card.")
    parser.add_argument("--json", action="store_true", help="Print everything as JSON.")
    parser.add_class_arguments(EvaluationSettings)
    return parser


if __name__ == "__main__":
    sys.exit(main())
