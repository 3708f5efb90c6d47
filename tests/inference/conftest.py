"""A stand-in for weights and network, for tests of what comes before and after them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from marrowmap.data.exam import Sequence
from marrowmap.data.model_input import CHANNELS, ModelInputSettings
from marrowmap.data.skeleton import REGION_CHANNELS, Region
from marrowmap.inference import pipeline
from marrowmap.models.bundle import Bundle


class BrightDiffusion:
    """Stands in for a network: bright diffusion is lesion, slow water is pelvis."""

    name = "bright diffusion"
    device = "cpu"
    patch_size = (32, 32, 48)

    def run(self, patch: np.ndarray) -> np.ndarray:
        dwi, adc = (patch[CHANNELS.index(s)] for s in (Sequence.DWI_HIGH, Sequence.ADC))
        logits = np.full((1 + REGION_CHANNELS, *patch.shape[1:]), -8.0, dtype=np.float32)
        logits[0] = np.where(dwi > 0.7, 8.0, -8.0)
        is_bone = (adc > 0.2) & (adc < 1.0)
        logits[1] = np.where(is_bone, -8.0, 8.0)
        logits[1 + Region.SACRUM_PELVIS] = np.where(is_bone, 8.0, -8.0)
        return logits

    def run_many(self, patches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        return (self.run(patch) for patch in patches)


class UseBrightDiffusion(Protocol):
    """Makes the pipeline take the stand-in for weights and engine, for as long as the patch holds."""

    def __call__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, *, sha256: str = "0" * 64) -> None: ...


@pytest.fixture(scope="session")
def use_bright_diffusion() -> UseBrightDiffusion:
    def use(monkeypatch: pytest.MonkeyPatch, folder: Path, *, sha256: str = "0" * 64) -> None:
        bundle = Bundle(
            name="stand-in",
            version="1",
            input=ModelInputSettings(spacing_mm=4.0),
            network={"channels_in": 5, "regions": REGION_CHANNELS},
            patch_size=BrightDiffusion.patch_size,
            lesion_threshold=0.5,
            trained_on="nothing",
            intended_use="tests",
            folder=folder,
            sha256=sha256,
        )
        monkeypatch.setattr(pipeline, "load_bundle", lambda folder: bundle)
        monkeypatch.setattr(pipeline, "open_engine", lambda bundle, device, threads: BrightDiffusion())

    return use
