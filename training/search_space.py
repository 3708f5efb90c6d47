"""Which settings a search draws, and from what: a YAML of dotted names.

    optimiser.learning_rate: {low: 3.0e-4, high: 3.0e-3, log: true}
    loss.lesion_voxel_weight: {choices: [10, 30, 100]}
    augment.noise: {low: 0.0, high: 0.1}
    batch_size: {low: 1, high: 4}

A range of two whole numbers draws whole numbers, both ends included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from marrowmap.data.errors import SettingsError

#: Settings that belong to the search, not to a trial.
_OWN = frozenset({"run", "resume", "prepare_only"})


@dataclass(frozen=True, kw_only=True)
class Range:
    """What one setting is drawn from: `choices`, or from `low` to `high`.

    Attributes:
        choices: Values of equal chance; empty for a range.
        low: Least value.
        high: Greatest value.
        log: Whether the logarithm is drawn evenly, instead of the value.
    """

    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    def draw(self, rng: np.random.Generator) -> Any:
        """Return one value."""
        if self.choices:
            return self.choices[int(rng.integers(len(self.choices)))]
        is_whole = isinstance(self.low, int) and isinstance(self.high, int)
        if self.log:
            value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
            return round(value) if is_whole else value
        if is_whole:
            return int(rng.integers(int(self.low), int(self.high) + 1))
        return float(rng.uniform(self.low, self.high))


def read_space(path: Path) -> dict[str, Range]:
    """Return what to draw from by the settings' dotted names.

    Raises:
        SettingsError: If the file is none, or an entry is no range.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the search space {path.name}: {type(error).__name__}") from None
    except yaml.YAMLError:
        raise SettingsError(f"{path.name} is no YAML; see `marrowmap train --help`, --search") from None
    if not isinstance(content, dict) or not content:
        raise SettingsError(f"{path.name} needs one line a setting (name: {{low: 0, high: 1}}), found none")
    return {str(name): _range(str(name), entry) for name, entry in content.items()}


def _range(name: str, entry: Any) -> Range:
    is_known = isinstance(entry, Mapping) and set(entry) in (
        {"choices"}, {"low", "high"}, {"low", "high", "log"},
    )  # fmt: skip
    if not is_known:
        raise SettingsError(f"{name} needs {{choices: [...]}} or {{low: , high: , log: }}, found {entry}")
    if "choices" in entry:
        if not isinstance(entry["choices"], list) or not entry["choices"]:
            raise SettingsError(f"{name} needs a list of one choice or more, found {entry['choices']}")
        return Range(choices=tuple(entry["choices"]))
    low, high, log = entry["low"], entry["high"], entry.get("log", False)
    numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in (low, high))
    if not numbers or not low < high or not isinstance(log, bool) or (log and low <= 0):
        raise SettingsError(
            f"{name} needs numbers with low below high (above 0 with log), found {dict(entry)}"
        )
    return Range(low=low, high=high, log=log)


def as_settings_key(plain: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """Return the part of the settings that a dotted name leads to, and its key there.

    Raises:
        SettingsError: If there is no such setting, or it belongs to the search.
    """
    *path, key = name.split(".")
    parent: Any = plain
    for step in path:
        parent = parent.get(step) if isinstance(parent, dict) else None
    if not isinstance(parent, dict) or key not in parent or isinstance(parent[key], dict) or name in _OWN:
        raise SettingsError(f"{name} is no setting that can be searched; see `marrowmap train --help`")
    return parent, key
