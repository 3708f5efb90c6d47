"""Options by which `read` and `infer` are told which study and which of its series to take."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from marrowmap.data.selection import Choices

SERIES_WORDS = {
    "t1": "T1",
    "stir": "STIR",
    "dwi": "diffusion",
    "adc": "ADC",
    "t2": "T2",
    "contrast": "T1 after contrast",
    "dixon": "Dixon",
}


def add_study_options(parser: ArgumentParser) -> None:
    """Add `--study-uid`, and `--t1-series` and its like for every sequence."""
    parser.add_argument(
        "--study-uid", "--study_uid", default="", help="which study (or NIfTI case), where there are several"
    )
    for name, words in SERIES_WORDS.items():
        parser.add_argument(
            f"--{name}-series", type=int, nargs="+", default=[], help=f"series numbers to take for {words}"
        )


def chosen_series(options: Namespace) -> Choices:
    """Return the series that the options name."""
    return Choices(**{name: tuple(options[f"{name}_series"]) for name in SERIES_WORDS})
