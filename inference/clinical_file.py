"""A clinical file as it stands on disk: YAML or JSON, no field twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from marrowmap.data.errors import ClinicalInputError


def load_fields(path: Path) -> Any:
    """Return what a YAML or JSON file holds, None for an empty one.

    Raises:
        ClinicalInputError: If it cannot be read, or names a field that stands twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=_unique)
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise ClinicalInputError(f"clinical file {path.name} cannot be read: {reason}") from None
    except (ValueError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise ClinicalInputError(f"clinical file {path.name} is neither YAML nor JSON: {first}") from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML in which a field that stands twice is an error: plain YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        pairs = [(self.construct_object(key, deep=True), None) for key, _ in node.value]
        _unique(pairs)
        return super().construct_mapping(node, deep=deep)


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return pairs as a dict.

    Raises:
        ClinicalInputError: If a key stands twice.
    """
    seen: dict[Any, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ClinicalInputError(f"{key}: given twice; keep one")
        seen[key] = value
    return seen
