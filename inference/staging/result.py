"""What a rule says: a value or what is still possible, and all that it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from marrowmap.inference.clinical import ClinicalInput

StageValue = str | bool
Status = Literal["complete", "imaging_only", "unknown", "not_applicable"]


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """What one published rule makes of the findings, as `staging.X` in `report.json`.

    Attributes:
        value: The answer, None when it is not known or the rule does not apply.
        status: `imaging_only` when the laboratory half of the rule is missing.
        candidates: Values still possible, mildest first; the value alone when it is known.
        probabilities: Of each value, from the probabilities of the lesions; empty when not known.
        inputs: What the rule looked at; None where it was unknown.
        missing: Names of the inputs that were unknown.
        rule: Name and version, e.g. `iss/1`.
        source: Where the rule was published.
        warnings: What a reader must know of this answer, one sentence each.
        extras: Further keys of this rule: suffix, points, factors, events ...
    """

    value: StageValue | None
    status: Status
    candidates: tuple[StageValue, ...]
    inputs: Mapping[str, Any]
    missing: tuple[str, ...]
    rule: str
    source: str
    probabilities: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return `staging.X` of `report.json`; the extras stand beside the other keys."""
        return {
            "value": self.value,
            "status": self.status,
            "candidates": list(self.candidates),
            "probabilities": dict(self.probabilities),
            "inputs": dict(self.inputs),
            "missing": list(self.missing),
            "rule": self.rule,
            "source": self.source,
            "warnings": list(self.warnings),
            **self.extras,
        }


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A published rule: its name, version, source and the values it can take.

    Attributes:
        key: Key in `staging`.
        source: Paper, with DOI where there is one.
        values: Every value, mildest first.
        version: Counts up when our reading of the rule changes.
    """

    key: str
    source: str
    values: tuple[StageValue, ...]
    version: int = 1

    @property
    def id(self) -> str:
        """Name and version, as printed."""
        return f"{self.key}/{self.version}"

    def result(
        self,
        candidates: Iterable[StageValue],
        *,
        inputs: Mapping[str, Any],
        missing: Sequence[str] = (),
        known_status: Status = "complete",
        probabilities: Mapping[str, float] | None = None,
        warnings: Sequence[str] = (),
        extras: Mapping[str, Any] | None = None,
    ) -> StageResult:
        """Return the answer: the only value that is possible, or unknown with all that are.

        Args:
            candidates: Values still possible.
            inputs: What the rule looked at.
            missing: Inputs that were unknown.
            known_status: Status when only one value is possible.
            probabilities: Of each value.
            warnings: What a reader must know.
            extras: Further keys.
        """
        found = set(candidates)
        left = tuple(value for value in self.values if value in found)
        value = left[0] if len(left) == 1 else None
        return StageResult(
            value=value,
            status=known_status if value is not None else "unknown",
            candidates=left,
            inputs=inputs,
            missing=tuple(missing),
            rule=self.id,
            source=self.source,
            probabilities=probabilities or {},
            warnings=tuple(warnings),
            extras=extras or {},
        )

    def not_applicable(
        self, reason: str, *, inputs: Mapping[str, Any] | None = None, extras: Mapping[str, Any] | None = None
    ) -> StageResult:
        """Return that the rule does not apply here, and why."""
        return StageResult(
            value=None,
            status="not_applicable",
            candidates=(),
            inputs=inputs or {},
            missing=(),
            rule=self.id,
            source=self.source,
            warnings=(reason,),
            extras=extras or {},
        )


def look_up(clinical: ClinicalInput, names: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields that a rule looks at, and the names of those that are unknown.

    The free light chain ratio in use is shown as `flc_ratio`, given or computed.
    """
    values = {name: clinical.value(name) for name in names}
    if "flc_ratio" in values:
        values["flc_ratio"] = clinical.light_chain_ratio
    return values, tuple(name for name, value in values.items() if value is None)
