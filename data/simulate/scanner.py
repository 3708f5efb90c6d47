"""What a scanner makes of a body: stations of each sequence, with partial volume, coils, noise and shifts.

T1, STIR and Dixon are mostly coronal, diffusion is mostly axial. Every station has its own gain and smooth
bias; diffusion is shifted and stretched a little against the rest, as echo-planar images are; noise is
Rician, so ADC is biased where the high-b signal sinks into it. What else happens: `effects.py`. Volumes are
`(x, y, z)`, RAS+; the thick axis is the slice axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from marrowmap.data.exam import Sequence
from marrowmap.data.simulate.acquisition import Acquisition, acquisition_of
from marrowmap.data.simulate.diffusion_scan import diffusion_stations
from marrowmap.data.simulate.disease import DiseasedBody
from marrowmap.data.simulate.effects import Effect
from marrowmap.data.simulate.protocol import DIFFUSION, DIXON, Orientation, ScannerSettings
from marrowmap.data.simulate.recipes import Recipe, anatomical_recipes
from marrowmap.data.simulate.sampling import Volume32
from marrowmap.data.simulate.scan import Scan, Seen
from marrowmap.data.simulate.signal import SignalSettings
from marrowmap.data.simulate.station import Slab, slabs_of

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy

__all__ = ["Acquisition", "acquire"]

#: How far fat appears beside its place on a spin echo at full strength, in voxels along the readout.
_SPIN_ECHO_FAT_SHIFT = 1.2
#: Standard deviation of a station's shift between sequences at full strength, mm.
_SEQUENCE_SHIFT_MM = 2.0


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
    scan = Scan.of(anatomy, body, rng, signal=signal, scanner=scanner, wildness=wildness)
    order = list(Sequence)
    taken = [*_anatomical(scan), *diffusion_stations(scan)]
    kept = _without_lost_station([a for a in taken if a.sequence in scanner.sequences], scan)
    return tuple(
        sorted(kept, key=lambda a: (order.index(a.sequence), a.volume.b_value_s_per_mm2 or 0, a.station))
    )


def _anatomical(scan: Scan) -> Iterator[Acquisition]:
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


def _anatomical_station(scan: Scan, slab: Slab, number: int, recipes: list[Recipe]) -> Iterator[Acquisition]:
    shift = scan.drawn_shift(_SEQUENCE_SHIFT_MM * scan.scanner.effects.of(Effect.SEQUENCE_SHIFT))
    fat_voxels = _SPIN_ECHO_FAT_SHIFT * scan.scanner.effects.of(Effect.CHEMICAL_SHIFT)
    weights = slab.weights(scan.grid, shift_mm=shift)
    fat_weights = weights
    if fat_voxels:
        moved = list(shift)
        moved[slab.readout] += scan.polarity * fat_voxels * slab.axes[slab.readout].step_mm
        fat_weights = slab.weights(scan.grid, shift_mm=(moved[0], moved[1], moved[2]))
    seen = Seen(scan, slab, recipes, weights, fat_weights)
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
        yield acquisition_of(recipe.sequence, number, cut_slab, cut_slab.volume(noisy), scan.signal)


def _without_lost_station(taken: list[Acquisition], scan: Scan) -> list[Acquisition]:
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
