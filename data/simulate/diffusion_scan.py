"""Diffusion through a scanner: echo-planar stations at every b-value, and the ADC of their noisy images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from marrowmap.data.exam import Sequence
from marrowmap.data.simulate.acquisition import Acquisition, acquisition_of
from marrowmap.data.simulate.effects import Effect
from marrowmap.data.simulate.field_map import Distortion, shift_in_station
from marrowmap.data.simulate.protocol import DIFFUSION
from marrowmap.data.simulate.recipes import HIGH_B_MUSCLE, Recipe, diffusion_recipes
from marrowmap.data.simulate.sampling import Volume32
from marrowmap.data.simulate.scan import Scan, Seen
from marrowmap.data.simulate.station import Slab, Weights, slabs_of

#: Fat resonates 3.4 ppm below water; where it appears in an echo-planar image at 1.5 T at full strength, mm.
_ECHO_PLANAR_FAT_SHIFT_MM = 25.0


def diffusion_stations(scan: Scan) -> Iterator[Acquisition]:
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
            yield acquisition_of(
                recipe.sequence, number, slab, slab.volume(values, recipe.b_value_s_per_mm2), scan.signal
            )
        adc = _adc_map(images, [r.b_value_s_per_mm2 for r in recipes], floor=3.0 * _deepest_noise(scan))
        yield acquisition_of(Sequence.ADC, number, slab, slab.volume(adc), scan.signal)


def _averages(scan: Scan) -> int:
    """Return how many magnitude images are averaged: more keep the noise floor of a shorter scan."""
    return 1 + round(1.6 * scan.scanner.effects.of(Effect.NOISE_FLOOR))


def _deepest_noise(scan: Scan) -> float:
    return HIGH_B_MUSCLE / scan.scanner.diffusion_snr * float(np.sqrt(_averages(scan)))


def _diffusion_station(scan: Scan, slab: Slab, recipes: list[Recipe]) -> list[Volume32]:
    weights, fat_weights = _echo_planar_weights(scan, slab)
    seen = Seen(scan, slab, recipes, weights, fat_weights)
    spoiler = scan.spoiler(slab, Sequence.DWI_HIGH, _distortion(scan, slab))
    gain, averages = scan.gain(slab.shape), _averages(scan)
    images = []
    for recipe in recipes:
        values = spoiler.spoiled(seen.values(recipe) * gain)
        images.append(scan.noisy(values, recipe.noise, averages=averages))
    return images


def _distortion(scan: Scan, slab: Slab) -> Distortion | None:
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


def _echo_planar_weights(scan: Scan, slab: Slab) -> tuple[Weights, Weights]:
    """Return the weights of water and of fat for one station, moved and stretched against T1."""
    shift = scan.drawn_shift(scan.scanner.diffusion_shift_mm)
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
