"""`marrowmap revise OUT`: the reader's decision on lesions."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from jsonargparse import ArgumentParser

from marrowmap.data.errors import SettingsError
from marrowmap.inference.decisions import decisions_for
from marrowmap.inference.revise import Decision, revise_folder
from marrowmap.inference.signature import Signature


def main(arguments: list[str] | None = None) -> int:
    """Reject or accept lesions of an output folder and recompute everything downstream.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0. Errors of the input are raised as `MarrowmapError`.
    """
    options = _parser().parse_args(arguments)
    saved = decisions_for(options.out, options.decisions) if options.decisions else {}
    signature = signature_of(options.signed_by, options.organization)
    is_signed_only = signature is not None and not (options.reject or options.accept or saved)
    decisions = (
        {} if is_signed_only else decisions_of(reject=options.reject, accept=options.accept, saved=saved)
    )
    report = revise_folder(options.out, decisions, signature)
    if options.json:
        print(json.dumps(report, indent=2))
        return 0
    counts, burden = report["counts"], report["burden"]
    print(
        f"{len(report['revision']['rejected'])} rejected, {len(report['revision']['accepted'])} accepted: "
        f"{counts['visible']} lesions ({counts['focal_5mm']} certain of 5 mm or more), "
        f"{burden['tumour_volume_ml']:.1f} ml; {options.out / 'report.html'}"
    )
    return 0


def decisions_of(
    *, reject: str, accept: str, saved: Mapping[int, Decision] | None = None
) -> dict[int, Decision]:
    """Return the decision by lesion id.

    Args:
        reject: Ids with commas or spaces between them.
        accept: The same.
        saved: From the file that the page saved; an id named here as well is decided as named here.

    Raises:
        SettingsError: If nothing is decided, an id is no number, or is both rejected and accepted.
    """
    rejected, accepted = _ids(reject), _ids(accept)
    both = sorted(set(rejected) & set(accepted))
    if both:
        raise SettingsError(f"lesion {both[0]} is both rejected and accepted; name it once")
    if not rejected and not accepted and not saved:
        raise SettingsError(
            "need a decision: --reject IDS, --accept IDS or --decisions FILE, such as --reject 3,5"
        )
    return {**(saved or {}), **dict.fromkeys(rejected, "reject"), **dict.fromkeys(accepted, "accept")}


def signature_of(name: str, organization: str) -> Signature | None:
    """Return who signs, None where nobody does.

    Raises:
        SettingsError: If only one of the two is given.
    """
    return Signature(name=name, organization=organization) if name or organization else None


def _ids(text: str) -> list[int]:
    try:
        return [int(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise SettingsError(f"need lesion ids such as 3,5, found {text}") from error


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="marrowmap revise", description="Reject or accept lesions; recompute.")
    parser.add_argument("out", type=Path, help="Folder that infer wrote.")
    parser.add_argument("--reject", type=str, default="", help="Lesion ids, such as 3,5.")
    parser.add_argument("--accept", type=str, default="", help="Lesion ids, such as 1,2.")
    parser.add_argument("--decisions", type=Path, default=None, help="File saved from report.html.")
    parser.add_argument(
        "--signed-by", type=str, default="", help="Reader who signs, as family^given: no longer preliminary."
    )
    parser.add_argument("--organization", type=str, default="", help="Where the reader who signs works.")
    parser.add_argument("--json", action="store_true", help="Print the whole report as JSON.")
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
