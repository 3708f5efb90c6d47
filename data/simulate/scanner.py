"""What a scanner makes of a body: stations of each sequence, with partial volume, coils, noise and shifts.

T1, STIR and Dixon are mostly coronal, diffusion is mostly axial. Every station has its own gain and smooth
bias; diffusion is shifted and stretched a little against the rest, as echo-planar images are; noise is
Rician, so ADC is biased where the high-b signal sinks into it. What else happens: `effects.py`. Volumes are
`(x, y, z)`, RAS+; the thick axis is the slice axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Sequence, Volume
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
from marrowmap.data.simulate.field_map import Distortion, FieldMap, shift_in_station
from marrowmap.data.simulate.geometry import BodyGrid
from marrowmap.data.simulate.noise import NoisePool, smooth_gain
from marrowmap.data.simulate.protocol import DIFFUSION, DIXON, Orientation, ScannerSettings
from marrowmap.data.simulate.recipes import HIGH_B_MUSCLE, Recipe, anatomical_recipes, diffusion_recipes
from marrowmap.data.simulate.sampling import Volume32, sample_materials
from marrowmap.data.simulate.signal import SignalSettings
from marrowmap.data.simulate.station import Breath, Slab, Spoiler, Weights, slabs_of
from marrowmap.data.simulate.tissue import MaterialTable, at_field

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy

#: Fat resonates 3.4 ppm below water; where it appears in an echo-planar image at 1.5 T at full strength, mm.
_ECHO_PLANAR_FAT_SHIFT_MM = 25.0
#: The same on a spin echo, in voxels along the readout.
_SPIN_ECHO_FAT_SHIFT = 1.2
#: Standard deviation of a station's shift between sequences at full strength, mm.
_SEQUENCE_SHIFT_MM = 2.0

_WORDS = {
    Sequence.T1: "T1 TSE",
    Sequence.T1_CONTRAST: "T1 TSE POST GD",
    Sequence.STIR: "STIR",
    Sequence.DIXON_IN: "DIXON IN",
    Sequence.DIXON_OUT: "DIXON OPP",
    Sequence.DIXON_FAT: "DIXON F",
    Sequence.DIXON_WATER: "DIXON W",
    Sequence.DWI_LOW: "DWI {fat} TRACEW",
    Sequence.DWI_HIGH: "DWI {fat} TRACEW",
    Sequence.ADC: "DWI {fat} ADC",
}
_ORIENTATION_WORDS: dict[Orientation, str] = {"sagittal": "SAG", "coronal": "COR", "axial": "AX"}


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """One station of one sequence, as the scanner delivers it.

    Attributes:
        sequence: What it shows; a middle b-value counts as `DWI_LOW`, its volume says which b it is.
        station: 0 for the head, counting to the feet.
        volume: float32 `(x, y, z)` RAS+; the widest spacing is the slice axis.
        description: Series description.
    """

    sequence: Sequence
    station: int
    volume: Volume
    description: str


def acquire(
    anatomy: Anatomy,
    body: DiseasedBody,
    rng: np.random.Generator,
    *,
    signal: SignalSettings,
    scanner: ScannerSettings,
    wildness: float = 0.0,
) -> tuple[Acquisition, ...]:
    """Scan a body.

    Args:
        anatomy: Gives the grid and where air is.
        body: Materials and their table.
        rng: Source of randomness of gains, biases, shifts, effects and noise.
        signal: Timings.
        scanner: Protocol with its effects.
        wildness: How far contrasts leave physics, 0 to 1.

    Returns:
        Every station of every sequence, sequence by sequence, head first.
    """
    scan = _Scan.of(anatomy, body, rng, signal=signal, scanner=scanner, wildness=wildness)
    order = list(Sequence)
    taken = [*_anatomical(scan), *_diffusion(scan)]
    kept = _without_lost_station([a for a in taken if a.sequence in scanner.sequences], scan)
    return tuple(
        sorted(kept, key=lambda a: (order.index(a.sequence), a.volume.b_value_s_per_mm2 or 0, a.station))
    )


@dataclass(frozen=True, kw_only=True)
class _Scan:
    """One body in one scanner."""

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
    ) -> _Scan:
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
            breath=Breath.of(anatomy) if Effect.BREATHING in effects else None,
            metal=metal_of(anatomy, rng, effects.of(Effect.METAL)),
            field_map=FieldMap.of(anatomy) if Effect.DISTORTION in effects else None,
            polarity=1 if rng.random() < 0.5 else -1,
        )

    def gain(self, shape: tuple[int, int, int]) -> Volume32:
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

    def acquisition(self, sequence: Sequence, station: int, slab: Slab, volume: Volume) -> Acquisition:
        words = _WORDS[sequence].format(fat=self.signal.diffusion_fat.upper())
        description = f"{_ORIENTATION_WORDS[slab.orientation]} {words} ST{station + 1}"
        return Acquisition(sequence=sequence, station=station, volume=volume, description=description)


def _anatomical(scan: _Scan) -> Iterator[Acquisition]:
    """Yield every station of T1, STIR and Dixon, slices of one orientation in one go."""
    scanner = scan.scanner
    recipes = anatomical_recipes(scan.table, scan.signal, scanner, scan.contrast)
    for orientation in ("coronal", "axial", "sagittal"):
        here = [r for r in recipes if _orientation_of(r, scanner) == orientation]
        if not here:
            continue
        slabs = slabs_of(
            scan.grid,
            orientation,
            spacing_mm=scanner.coronal_spacing_mm,
            slice_mm=scanner.coronal_slice_mm,
            number=scanner.coronal_stations,
            overlap_mm=scanner.overlap_mm,
        )
        for number, slab in enumerate(slabs):
            yield from _anatomical_station(scan, slab, number, here)


def _orientation_of(recipe: Recipe, scanner: ScannerSettings) -> Orientation:
    return scanner.stir_orientation if recipe.sequence is Sequence.STIR else scanner.t1_orientation


def _anatomical_station(scan: _Scan, slab: Slab, number: int, recipes: list[Recipe]) -> Iterator[Acquisition]:
    shift = _drawn_shift(scan, _SEQUENCE_SHIFT_MM * scan.scanner.effects.of(Effect.SEQUENCE_SHIFT))
    fat_voxels = _SPIN_ECHO_FAT_SHIFT * scan.scanner.effects.of(Effect.CHEMICAL_SHIFT)
    weights = slab.weights(scan.grid, shift_mm=shift)
    fat_weights = weights
    if fat_voxels:
        moved = list(shift)
        moved[slab.readout] += scan.polarity * fat_voxels * slab.axes[slab.readout].step_mm
        fat_weights = slab.weights(scan.grid, shift_mm=(moved[0], moved[1], moved[2]))
    seen = _Seen(scan, slab, recipes, weights, fat_weights)
    dixon_gain: Volume32 | None = None
    for recipe in recipes:
        values = seen.values(recipe)
        spoiler = scan.spoiler(slab, recipe.sequence)
        if recipe.sequence in DIXON:  # their ratio carries meaning: one gain for all
            dixon_gain = scan.gain(slab.shape) if dixon_gain is None else dixon_gain
            values = values * dixon_gain
        else:
            values = values * scan.gain(slab.shape)
        cut_slab, values = spoiler.folded(spoiler.spoiled(values))
        noisy = scan.noisy(np.ascontiguousarray(values), recipe.noise)
        yield scan.acquisition(recipe.sequence, number, cut_slab, cut_slab.volume(noisy))


class _Seen:
    """What a station's voxels hold of the body, each look-up sampled once."""

    def __init__(
        self, scan: _Scan, slab: Slab, recipes: list[Recipe], weights: Weights, fat_weights: Weights
    ) -> None:
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


def _diffusion(scan: _Scan) -> Iterator[Acquisition]:
    """Yield every station of diffusion: each b-value, and the ADC of their noisy images."""
    scanner = scan.scanner
    if not scanner.sequences & DIFFUSION:
        return
    recipes = diffusion_recipes(scan.table, scan.signal, scanner, scan.rng)
    slabs = slabs_of(
        scan.grid,
        scanner.diffusion_orientation,
        spacing_mm=scanner.axial_spacing_mm,
        slice_mm=scanner.axial_slice_mm,
        number=scanner.axial_stations,
        overlap_mm=scanner.overlap_mm,
    )
    for number, slab in enumerate(slabs):
        images = _diffusion_station(scan, slab, recipes)
        for recipe, values in zip(recipes, images, strict=True):
            yield scan.acquisition(
                recipe.sequence, number, slab, slab.volume(values, recipe.b_value_s_per_mm2)
            )
        adc = _adc_map(images, [r.b_value_s_per_mm2 for r in recipes], floor=3.0 * _deepest_noise(scan))
        yield scan.acquisition(Sequence.ADC, number, slab, slab.volume(adc))


def _averages(scan: _Scan) -> int:
    """Return how many magnitude images are averaged: more keep the noise floor of a shorter scan."""
    return 1 + int(np.ceil(2 * scan.scanner.effects.of(Effect.NOISE_FLOOR)))


def _deepest_noise(scan: _Scan) -> float:
    return HIGH_B_MUSCLE / scan.scanner.diffusion_snr * float(np.sqrt(_averages(scan)))


def _diffusion_station(scan: _Scan, slab: Slab, recipes: list[Recipe]) -> list[Volume32]:
    weights, fat_weights = _echo_planar_weights(scan, slab)
    seen = _Seen(scan, slab, recipes, weights, fat_weights)
    spoiler = scan.spoiler(slab, Sequence.DWI_HIGH, _distortion(scan, slab))
    gain, averages = scan.gain(slab.shape), _averages(scan)
    images = []
    for recipe in recipes:
        values = spoiler.spoiled(seen.values(recipe) * gain)
        images.append(scan.noisy(values, recipe.noise, averages=averages))
    return images


def _distortion(scan: _Scan, slab: Slab) -> Distortion | None:
    if scan.field_map is None:
        return None
    shift = shift_in_station(
        scan.field_map,
        (slab.x, slab.y, slab.z),
        order=slab.order,
        field_strength_t=scan.signal.field_strength_t,
        strength=scan.polarity * scan.scanner.effects.of(Effect.DISTORTION),
    )
    return Distortion.of(shift, slab.phase, slab.axes[slab.phase].step_mm)


def _echo_planar_weights(scan: _Scan, slab: Slab) -> tuple[Weights, Weights]:
    """Return the weights of water and of fat for one station, moved and stretched against T1."""
    shift = _drawn_shift(scan, scan.scanner.diffusion_shift_mm)
    stretch = float(1 + scan.rng.normal(0, scan.scanner.diffusion_stretch))
    weights = slab.weights(scan.grid, shift_mm=shift, stretch=stretch)
    strength = scan.scanner.effects.of(Effect.CHEMICAL_SHIFT)
    if not strength:
        return weights, weights
    moved = list(shift)
    moved[slab.phase] += (
        scan.polarity * _ECHO_PLANAR_FAT_SHIFT_MM * strength * scan.signal.field_strength_t / 1.5
    )
    return weights, slab.weights(scan.grid, shift_mm=(moved[0], moved[1], moved[2]), stretch=stretch)


def _drawn_shift(scan: _Scan, deviation_mm: float) -> tuple[float, float, float]:
    a, b, c = (float(value) for value in scan.rng.normal(0, deviation_mm, 3))
    return a, b, c


def _adc_map(images: list[Volume32], b_values: list[float | None], *, floor: float) -> Volume32:
    """Return the scanner's ADC map in um2/s by a line through the logarithms; 0 where low b is noise."""
    b = np.array([value or 0.0 for value in b_values])
    slopes = (b - b.mean()) / np.square(b - b.mean()).sum()
    adc: Volume32 = np.zeros_like(images[0])
    for values, slope in zip(images, slopes, strict=True):
        adc -= np.float32(1e6 * slope) * np.log(np.maximum(values, np.float32(1e-3)), dtype=np.float32)
    adc[images[0] < floor] = 0
    np.clip(adc, 0, 4000, out=adc)
    return adc


def _without_lost_station(taken: list[Acquisition], scan: _Scan) -> list[Acquisition]:
    """Return the acquisitions without a station that was never sent, if one was lost.

    Of diffusion only the first or the last can be missing: without a middle one there is no exam.
    """
    which, place = scan.rng.random(2)
    if Effect.MISSING_STATION not in scan.scanner.effects or not taken:
        return taken
    groups = (DIFFUSION, frozenset({Sequence.STIR}), DIXON | {Sequence.T1, Sequence.T1_CONTRAST})
    present = [group for group in groups if any(a.sequence in group for a in taken)]
    group = present[int(which * len(present))]
    count = 1 + max(a.station for a in taken if a.sequence in group)
    if count < 2:
        return taken
    lost = (0 if place < 0.5 else count - 1) if group is DIFFUSION else int(place * count)
    return [a for a in taken if a.sequence not in group or a.station != lost]
