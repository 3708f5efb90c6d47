"""The pipeline as a worker wants it: opened once, then exam after exam."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from marrowmap.inference import pipeline
from marrowmap.inference.node.quiet import quiet_libraries
from marrowmap.inference.pipeline import InferSettings
from marrowmap.inference.response.files import compare_folders


class PipelineAnalysis:
    """`infer` and `compare` with a network that stays open."""

    def __init__(self, settings: InferSettings) -> None:
        """Open the network.

        Raises:
            MarrowmapError: If the weights or the device cannot be used.
        """
        quiet_libraries()  # they quote headers, and with them names
        self._settings, self._network = settings, pipeline.open_network(settings)

    def infer(self, study: Path, out: Path, *, clinical: Path | None, study_uid: str) -> dict[str, Any]:
        """Write the findings of a study into a folder and return the report."""
        settings = replace(self._settings, clinical=clinical, study_uid=study_uid)
        return pipeline.infer(study, out, settings, network=self._network)

    def compare(self, baseline: Path, follow_up: Path, earlier: list[Path]) -> dict[str, Any]:
        """Compare two such folders and return the response."""
        return compare_folders(baseline, follow_up, earlier)


def open_pipeline(settings: InferSettings) -> PipelineAnalysis:
    """Return the pipeline, open; a function by name, so that it travels to the workers."""
    return PipelineAnalysis(settings)
