"""Simulated exams beside published figures: what agrees, what does not and why, as one page.

Every number of the page is of simulated exams, and says so.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.disease import PATTERN_SHARE
from marrowmap.data.simulate.effects import Effect
from marrowmap.data.simulate.realism_measure import MeasuredExam, measure_exam
from marrowmap.data.simulate.realism_page import Montage, write_page
from marrowmap.data.simulate.realism_pictures import montage_of
from marrowmap.data.simulate.realism_rows import Row, lesion_sizes, signal_rows, volume_rows
from marrowmap.data.simulate.truth import Pattern

_log = logging.getLogger(__name__)

#: Patterns in turn, the ones with the most figures first.
_TURN: tuple[Pattern, ...] = (
    "normal",
    "focal",
    "diffuse",
    "focal",
    "normal",
    "mixed",
    "diffuse",
    "micronodular",
)


@dataclass(frozen=True, kw_only=True)
class RealismSettings:
    """Which exams are measured.

    Attributes:
        exams: How many; each takes about ten seconds of one core.
        seed: The first exam's seed.
    """

    exams: int = 16
    seed: int = 19_000

    def __post_init__(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            SettingsError: If no exam is asked for or the seed is negative.
        """
        if self.exams < 1:
            raise SettingsError(f"need at least one exam to measure, found --exams {self.exams}")
        if self.seed < 0:
            raise SettingsError(f"need a seed of 0 or more, found --seed {self.seed}")


def write_realism_report(out: Path, settings: RealismSettings) -> tuple[Row, ...]:
    """Simulate exams, measure them and write the page.

    Args:
        out: Folder, made if absent; gets `realism.html` and `realism.json`.
        settings: Which exams.

    Returns:
        Every row of the tables, for a summary.
    """
    measured, montages = [], []
    for number in range(settings.exams):
        pattern = _TURN[number % len(_TURN)]
        exam, simulated, composed = measure_exam(settings.seed + number, pattern)
        measured.append(exam)
        montages.append(Montage(exam=exam, pictures=montage_of(composed)))
        person = simulated.truth.person
        _log.info("measured exam %d (%s, %s, %.0f years)", exam.seed, pattern, person.sex, person.age_years)
    signals, volumes = tuple(signal_rows(measured)), tuple(volume_rows(measured))
    out.mkdir(parents=True, exist_ok=True)
    shares = {str(pattern): share for pattern, share in PATTERN_SHARE.items()}
    sizes = lesion_sizes(measured)
    write_page(out / "realism.html", signals, volumes, sizes, montages, pattern_share=shares)
    rows = [{**asdict(row), "verdict": row.verdict} for row in (*signals, *volumes)]
    _write_json(out / "realism.json", rows, measured, settings)
    return signals + volumes


def _write_json(
    path: Path, rows: list[dict[str, object]], exams: list[MeasuredExam], settings: RealismSettings
) -> None:
    seen = sorted({effect for exam in exams for effect in exam.effects})
    whole = {
        "schema": "marrowmap-realism/1",
        "is_simulated": True,
        "settings": asdict(settings),
        "effects_seen": seen,
        "effects_not_seen": sorted(set(Effect) - set(seen)),
        "rows": [{k: None if v != v else v for k, v in row.items()} for row in rows],  # JSON has no NaN
    }
    path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
