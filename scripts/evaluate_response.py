"""`python -m marrowmap.scripts.evaluate_response OUTPUTS PAIRS`: how often comparisons of pairs are right."""

from __future__ import annotations

import sys
from pathlib import Path

from jsonargparse import auto_cli


def evaluate_response(outputs: Path, pairs: Path) -> None:
    """Print how many directions and matches are right.

    Args:
        outputs: NAME/baseline and NAME/follow_up of each pair, from infer and compare.
        pairs: The same names, from simulate --follow-up.
    """
    from marrowmap.training.evaluation.responses import score_pairs, table

    print(table(score_pairs(outputs, pairs)), end="")


if __name__ == "__main__":
    sys.exit(auto_cli(evaluate_response))
