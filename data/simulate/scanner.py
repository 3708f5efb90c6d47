"""What a scanner makes of a body: stations of each sequence, with partial volume, coils, noise and shifts.

T1, STIR and Dixon are coronal, diffusion is axial. Every station has its own gain and smooth bias; diffusion
is shifted and stretched a little against the rest, as echo-planar images are; noise is Rician, so ADC is
biased where the high-b signal sinks into it. Arrays are `(x, y, z)`, RAS+; the thick axis is the slice axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Sequence, Volume
from marrowmap.data.simulate.disease import DiseasedBody
from marrowmap.data.simulate.geometry import BodyGrid, affine_of, filling, stations_along
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.noise import NoisePool, smooth_gain
from marrowmap.data.simulate.protocol import DIFFUSION, DIXON, ScannerSettings
from marrowmap.data.simulate.sampling import Axis, AxisWeights, Volume32, sample
from marrowmap.data.simulate.signal import Lookup, SignalSettings, diffusion, dixon, stir, t1_spin_echo

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy

Weights = tuple[AxisWeights, AxisWeights, AxisWeights]

#: Signal of muscle in T1, STIR and water images, and at the high b-value, before gains.
_MUSCLE_SIGNAL = 200.0
_MUSCLE_HIGH_B_SIGNAL = 50.0
#: STIR is noisier than T1 by this factor.
_STIR_NOISE = 1.5

_WORDS = {
    Sequence.T1: "COR T1 TSE",
    Sequence.STIR: "COR STIR",
    Sequence.DIXON_IN: "COR DIXON IN",
    Sequence.DIXON_OUT: "COR DIXON OPP",
    Sequence.DIXON_FAT: "COR DIXON F",
    Sequence.DIXON_WATER: "COR DIXON W",
    Sequence.DWI_LOW: "AX DWI STIR TRACEW",
    Sequence.DWI_HIGH: "AX DWI STIR TRACEW",
    Sequence.ADC: "AX DWI STIR ADC",
}


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """One station of one sequence, as the scanner delivers it.

    Attributes:
        sequence: What it shows.
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
) -> tuple[Acquisition, ...]:
    """Scan a body.

    Args:
        anatomy: Gives the grid and where air is.
        body: Materials and their table.
        rng: Source of randomness of gains, biases, shifts and noise.
        signal: Timings.
        scanner: Protocol.

    Returns:
        Every station of every sequence, sequence by sequence, head first.
    """
    scan = _Scan(
        body=body,
        grid=BodyGrid.of(anatomy),
        rng=rng,
        pool=NoisePool.drawn(rng),
        signal=signal,
        scanner=scanner,
    )
    order = list(Sequence)
    taken = (a for a in (*_coronal(scan), *_axial(scan)) if a.sequence in scanner.sequences)
    return tuple(sorted(taken, key=lambda a: (order.index(a.sequence), a.station)))


@dataclass(frozen=True, kw_only=True)
class _Scan:
    """One body in one scanner."""

    body: DiseasedBody
    grid: BodyGrid
    rng: np.random.Generator
    pool: NoisePool
    signal: SignalSettings
    scanner: ScannerSettings

    def gain(self, shape: tuple[int, int, int]) -> Volume32:
        spread, bias = self.scanner.gain_spread, self.scanner.bias_spread
        return smooth_gain(shape, self.rng, gain_spread=spread, bias_spread=bias)

    def noisy(self, signal: Volume32, sigma: float) -> Volume32:
        return self.pool.rician(signal, sigma, self.rng)

    def stations(self, step_mm: float, number: int) -> Iterator[tuple[int, Axis]]:
        overlap = self.scanner.overlap_mm
        axes = stations_along(self.grid.span_mm(2), step_mm=step_mm, number=number, overlap_mm=overlap)
        return enumerate(axes)


def _coronal(scan: _Scan) -> Iterator[Acquisition]:
    lookups = _coronal_lookups(scan)
    step = scan.scanner.coronal_spacing_mm
    x = filling(scan.grid.span_mm(0), step)
    y = filling(scan.grid.depth_mm, scan.scanner.coronal_slice_mm)
    for number, z in scan.stations(step, scan.scanner.coronal_stations if lookups else 0):
        weights = (scan.grid.weights(1, y), scan.grid.weights(0, x), scan.grid.weights(2, z))
        index = _indices(scan.body.material, weights, order=(1, 0, 2))
        seen = {name: sample(_looked_up(table, index), weights) for name, table in lookups.items()}
        for sequence, values in _coronal_images(scan, seen, (y.count, x.count, z.count)):
            volume = Volume(array=values.transpose(1, 0, 2), affine_ras_mm=affine_of(x, y, z))
            yield _acquisition(sequence, number, volume)


def _coronal_lookups(scan: _Scan) -> dict[str, Lookup]:
    """Return the signal tables of the coronal sequences that are wanted, muscle at its set signal."""
    table, wanted = scan.body.table, scan.scanner.sequences
    lookups: dict[str, Lookup] = {}
    if Sequence.T1 in wanted:
        lookups["t1"] = _to_muscle(t1_spin_echo(table, scan.signal))
    if Sequence.STIR in wanted:
        lookups["stir"] = _to_muscle(stir(table, scan.signal))
    if wanted & DIXON:
        fat, water = dixon(table, scan.signal)
        scale = _MUSCLE_SIGNAL / max(float(water[Tissue.MUSCLE]), 1e-6)
        lookups |= {"fat": fat * scale, "water": water * scale}
    return lookups


def _to_muscle(lookup: Lookup) -> Lookup:
    return lookup * (_MUSCLE_SIGNAL / max(abs(float(lookup[Tissue.MUSCLE])), 1e-6))


def _coronal_images(
    scan: _Scan, seen: Mapping[str, Volume32], shape: tuple[int, int, int]
) -> Iterator[tuple[Sequence, Volume32]]:
    """Yield each coronal sequence of one station; Dixon images share gain and bias, so their ratio holds."""
    noise = _MUSCLE_SIGNAL / scan.scanner.coronal_snr
    for name, sequence, factor in (("t1", Sequence.T1, 1.0), ("stir", Sequence.STIR, _STIR_NOISE)):
        if name in seen:
            yield sequence, scan.noisy(seen[name] * scan.gain(shape), noise * factor)
    if "fat" in seen:
        gain = scan.gain(shape)
        fat, water = seen["fat"] * gain, seen["water"] * gain
        if Sequence.DIXON_IN in scan.scanner.sequences:
            yield Sequence.DIXON_IN, scan.noisy(np.add(water, fat, dtype=np.float32), noise)
        if Sequence.DIXON_OUT in scan.scanner.sequences:
            yield Sequence.DIXON_OUT, scan.noisy(np.subtract(water, fat, dtype=np.float32), noise)
        yield Sequence.DIXON_FAT, scan.noisy(fat, noise)
        yield Sequence.DIXON_WATER, scan.noisy(water, noise)


def _axial(scan: _Scan) -> Iterator[Acquisition]:
    scanner, table = scan.scanner, scan.body.table
    low_b, high_b = scanner.b_values_s_per_mm2
    low = diffusion(table, scan.signal, b_value_s_per_mm2=low_b)
    high = diffusion(table, scan.signal, b_value_s_per_mm2=high_b)
    scale = _MUSCLE_HIGH_B_SIGNAL / max(float(high[Tissue.MUSCLE]), 1e-9)
    noise = _MUSCLE_HIGH_B_SIGNAL / scanner.diffusion_snr
    x = filling(scan.grid.span_mm(0), scanner.axial_spacing_mm)
    y = filling(scan.grid.depth_mm, scanner.axial_spacing_mm)
    number_of_stations = scanner.axial_stations if scanner.sequences & DIFFUSION else 0
    for number, z in scan.stations(scanner.axial_slice_mm, number_of_stations):
        weights = _echo_planar_weights(scan, x, y, z)
        index = _indices(scan.body.material, weights, order=(2, 0, 1))
        gain = scan.gain((z.count, x.count, y.count))
        low_image = scan.noisy(sample(_looked_up(low * scale, index), weights) * gain, noise)
        high_image = scan.noisy(sample(_looked_up(high * scale, index), weights) * gain, noise)
        adc = _adc_map(low_image, high_image, b_values_s_per_mm2=scanner.b_values_s_per_mm2, noise=noise)
        for sequence, values, b_value in (
            (Sequence.DWI_LOW, low_image, low_b),
            (Sequence.DWI_HIGH, high_image, high_b),
            (Sequence.ADC, adc, None),
        ):
            array, affine = values.transpose(1, 2, 0), affine_of(x, y, z)
            volume = Volume(array=array, affine_ras_mm=affine, b_value_s_per_mm2=b_value)
            yield _acquisition(sequence, number, volume)


def _echo_planar_weights(scan: _Scan, x: Axis, y: Axis, z: Axis) -> Weights:
    """Return the weights of z, x, y for one station, shifted against T1 and stretched along y."""
    shift_x, shift_y, shift_z = scan.rng.normal(0, scan.scanner.diffusion_shift_mm, 3)
    stretch = 1 + scan.rng.normal(0, scan.scanner.diffusion_stretch)
    return (
        scan.grid.weights(2, z, shift_mm=float(shift_z)),
        scan.grid.weights(0, x, shift_mm=float(shift_x)),
        scan.grid.weights(1, y, shift_mm=float(shift_y), stretch=float(stretch)),
    )


def _adc_map(
    low: Volume32, high: Volume32, *, b_values_s_per_mm2: tuple[float, float], noise: float
) -> Volume32:
    """Return the scanner's ADC map in um2/s; 0 where the low-b signal is noise."""
    low_b, high_b = b_values_s_per_mm2
    ratio = np.log(np.maximum(low, 1e-3) / np.maximum(high, 1e-3))
    adc = ratio * np.float32(1e6 / (high_b - low_b))
    adc[low < 3.0 * noise] = 0
    return np.clip(adc, 0, 4000, out=adc)


def _indices(
    material: npt.NDArray[np.uint16], weights: Weights, *, order: tuple[int, int, int]
) -> npt.NDArray[np.intp]:
    """Return the body's materials under a station, axes in sampling order, ready for look-ups."""
    used: list[slice] = [slice(None)] * 3
    for axis, weight in zip(order, weights, strict=True):
        used[axis] = weight.used
    return np.ascontiguousarray(material[tuple(used)].transpose(order), dtype=np.intp)


def _looked_up(table: Lookup, index: npt.NDArray[np.intp]) -> Volume32:
    # "clip" skips the bounds check, which would cost three times the look-up; every index is in the table.
    return np.take(table, index, mode="clip")


def _acquisition(sequence: Sequence, station: int, volume: Volume) -> Acquisition:
    description = f"{_WORDS[sequence]} ST{station + 1}"
    return Acquisition(sequence=sequence, station=station, volume=volume, description=description)
