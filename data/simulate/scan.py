"""A body in a scanner: what all stations share, and what the voxels of one hold of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Sequence
from marrowmap.data.simulate.artefacts import (
    ECHO_PLANAR_VOID,
    GRADIENT_ECHO_VOID,
    SPIN_ECHO_VOID,
    Metal,
    metal_of,
    noise_amplification,
)
from marrowmap.data.simulate.contrast import WildContrast
from marrowmap.data.simulate.disease import DiseasedBody
from marrowmap.data.simulate.effects import Effect
from marrowmap.data.simulate.field_map import Distortion, FieldMap
from marrowmap.data.simulate.geometry import BodyGrid
from marrowmap.data.simulate.noise import NoisePool, smooth_gain
from marrowmap.data.simulate.protocol import DIFFUSION, DIXON, ScannerSettings
from marrowmap.data.simulate.recipes import Recipe
from marrowmap.data.simulate.sampling import Volume32, sample_materials
from marrowmap.data.simulate.signal import SignalSettings
from marrowmap.data.simulate.station import Breath, Slab, Spoiler, Weights
from marrowmap.data.simulate.tissue import MaterialTable, at_field

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One body in one scanner: what all its stations share.

    Attributes:
        anatomy: The body.
        material: uint16 `(x, y, z)`, rows of `table`.
        table: Materials at this field strength, strayed as far as contrast is wild.
        grid: Of the body.
        rng: Source of randomness.
        pool: Of noise.
        signal: Timings.
        scanner: Protocol and effects.
        contrast: How far contrasts leave physics.
        breath: What moves with breathing, None for nothing.
        metal: Where metal is, None for none.
        field_map: Of the main field, None where echo-planar images are not distorted.
        polarity: Sign of the echo-planar readout, 1 or -1.
    """

    anatomy: Anatomy
    material: npt.NDArray[np.uint16]
    table: MaterialTable
    grid: BodyGrid
    rng: np.random.Generator
    pool: NoisePool
    signal: SignalSettings
    scanner: ScannerSettings
    contrast: WildContrast
    breath: Breath | None
    metal: Metal | None
    field_map: FieldMap | None
    polarity: int

    @classmethod
    def of(
        cls,
        anatomy: Anatomy,
        body: DiseasedBody,
        rng: np.random.Generator,
        *,
        signal: SignalSettings,
        scanner: ScannerSettings,
        wildness: float,
    ) -> Scan:
        """Put a body into a scanner; see `scanner.acquire`."""
        contrast = WildContrast(wildness=wildness, rng=rng)
        effects = scanner.effects
        return cls(
            anatomy=anatomy,
            material=body.material,
            table=contrast.strayed(at_field(body.table, signal.field_strength_t)),
            grid=BodyGrid.of(anatomy),
            rng=rng,
            pool=NoisePool.drawn(rng),
            signal=signal,
            scanner=scanner,
            contrast=contrast,
            breath=Breath.of(anatomy)
            if Effect.BREATHING in effects or Effect.BREATHING_STEPS in effects
            else None,
            metal=metal_of(anatomy, rng, effects.of(Effect.METAL)),
            field_map=FieldMap.of(anatomy) if Effect.DISTORTION in effects else None,
            polarity=1 if rng.random() < 0.5 else -1,
        )

    def gain(self, shape: tuple[int, int, int]) -> Volume32:
        """Return a station's gain and bias."""
        spread, bias = self.scanner.gain_spread, self.scanner.bias_spread
        return smooth_gain(shape, self.rng, gain_spread=spread, bias_spread=bias)

    def noisy(self, values: Volume32, sigma: float, *, averages: int = 1) -> Volume32:
        """Return an image with noise, amplified where parallel imaging does; the signal stays."""
        strength = self.scanner.effects.of(Effect.G_FACTOR)
        if not strength:
            return self.pool.rician(values, sigma, self.rng, averages=averages)
        amplified = noise_amplification((values.shape[0], values.shape[1], values.shape[2]), strength)
        return self.pool.rician(values / amplified, sigma, self.rng, averages=averages) * amplified

    def spoiler(self, slab: Slab, sequence: Sequence, distortion: Distortion | None = None) -> Spoiler:
        """Return what becomes of a sequence's images in a station."""
        is_dixon, is_diffusion = sequence in DIXON, sequence in DIFFUSION
        count = slab.shape[slab.phase]
        return Spoiler(
            slab=slab,
            effects=self.scanner.effects,
            breath=self.breath,
            metal=self.metal,
            distortion=distortion,
            void_reach=ECHO_PLANAR_VOID
            if is_diffusion
            else GRADIENT_ECHO_VOID
            if is_dixon
            else SPIN_ECHO_VOID,
            is_two_dimensional=not is_dixon,
            # An echo-planar ghost lies half a field of view away, one of motion by how fast it repeats.
            ghost_shift=count // 2 if is_diffusion else count // int(self.rng.integers(4, 9)),
        )

    def drawn_shift(self, deviation_mm: float) -> tuple[float, float, float]:
        """Return a random shift along three axes, mm."""
        a, b, c = (float(value) for value in self.rng.normal(0, deviation_mm, 3))
        return a, b, c


class Seen:
    """What a station's voxels hold of the body, each look-up sampled once."""

    def __init__(
        self, scan: Scan, slab: Slab, recipes: list[Recipe], weights: Weights, fat_weights: Weights
    ) -> None:
        """Sample all that the recipes need.

        Args:
            scan: Gives the body.
            slab: The station.
            recipes: The images to come.
            weights: How voxels average water.
            fat_weights: How they average fat where it appears beside its place.
        """
        self._sampled: dict[tuple[int, bool], Volume32] = {}
        for is_moved, chosen in ((False, weights), (True, fat_weights)):
            wanted = {
                id(part.lookup): part.lookup
                for recipe in recipes
                for part in recipe.parts
                if (part.is_fat and recipe.moves_fat) == is_moved
            }
            if wanted:
                under = slab.under(scan.material, chosen)
                images = sample_materials(under, list(wanted.values()), chosen)
                self._sampled |= {(key, is_moved): image for key, image in zip(wanted, images, strict=True)}

    def values(self, recipe: Recipe) -> Volume32:
        """Return the noiseless image of a recipe, a new array."""
        total: Volume32 | None = None
        for part in recipe.parts:
            image = self._sampled[id(part.lookup), part.is_fat and recipe.moves_fat]
            image = image * np.float32(part.factor)
            total = image if total is None else np.add(total, image, out=total)
        if total is None:
            raise ValueError(f"a recipe of {recipe.sequence} without parts")
        return total
