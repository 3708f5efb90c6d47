"""Volumes by role -> Exam: b-values averaged and chosen, stations composed, ADC in one unit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from marrowmap.data.adc import MINIMUM_B_DIFFERENCE, adc_from_b_values, adc_unit_factor
from marrowmap.data.alignment import aligned_to_diffusion
from marrowmap.data.errors import StudyError
from marrowmap.data.exam import Array3D, Exam, ExamWarning, Sequence, StudyInfo, Volume
from marrowmap.data.placement import resampled_like, share_grid
from marrowmap.data.quality import adc_disagreement, frame_warnings, quality_warnings
from marrowmap.data.stations import DIXON_IMAGES, QUANTITIES, compose_stations, dixon_gains


@dataclass(frozen=True, kw_only=True)
class RoleVolume:
    """One station of one sequence, before composition.

    Attributes:
        sequence: What it shows; None for diffusion, whose b-value then decides.
        volume: The station.
        name: Words for messages: the series number and description, or the file's name.
        series_uid: Series Instance UID or empty.
        frame_of_reference: Frame of Reference UID or empty.
    """

    sequence: Sequence | None
    volume: Volume
    name: str = ""
    series_uid: str = ""
    frame_of_reference: str = ""


def choose_low_b(b_values: Iterable[float]) -> float | None:
    """Return the low b: the lowest of 50 to 100 s/mm2, else the lowest up to 200, else None.

    Below 50 the signal of vessels is still there.
    """
    low = sorted(b for b in b_values if 0 <= b <= 200)
    preferred = [b for b in low if 50 <= b <= 100]
    return (preferred or low or [None])[0]


def choose_high_b(b_values: Iterable[float]) -> float | None:
    """Return the high b: the nearest to 900 s/mm2 of 700 to 1,000, else the lowest above, else None."""
    high = sorted(b for b in b_values if b >= 700)
    usual = [b for b in high if b <= 1000]
    return min(usual, key=lambda b: abs(b - 900)) if usual else (high or [None])[0]


#: Stations by what they show: a sequence, or the b-value of a diffusion volume.
_Stations = Mapping[Sequence | float, list[RoleVolume]]


def assemble_exam(
    volumes: Iterable[RoleVolume], study: StudyInfo, warnings: Iterable[ExamWarning] = ()
) -> Exam:
    """Compose the stations of every sequence, choose the b-values and compute an absent ADC.

    ADC is computed station by station, before gains are equalised: equalising would bend it.

    Args:
        volumes: All stations of all sequences. An iterator that keeps none spares memory: a sequence's
            stations are let go once they are composed.
        study: Where they came from; series and stations by sequence are filled in here.
        warnings: What the reader already knows, asked for after the volumes; more is added.

    Returns:
        The exam, never below the minimum set.

    Raises:
        SequenceMissingError: If the minimum set is not there.
        GeometryError: If stations do not fit together.
    """
    stations, found = _in_known_units(volumes)
    found = [*warnings, *found]
    roles = _roles(stations)
    if Sequence.ADC in roles:
        found += adc_disagreement([r.volume for r in roles[Sequence.ADC]], _by_b(stations))
    else:
        roles |= _computed_adc(stations, roles)
    stations.clear()
    frames = frame_warnings({s: [r.frame_of_reference for r in parts] for s, parts in roles.items()})
    filled = replace(
        study,
        series_uids={
            s: tuple(dict.fromkeys(r.series_uid for r in p if r.series_uid)) for s, p in roles.items()
        },
        stations={s: len(parts) for s, parts in roles.items()},
    )
    composed, seams = _composed(roles)
    composed, moved = aligned_to_diffusion(composed)
    found += [*seams, *frames, *moved, *quality_warnings(composed, study)]
    return Exam(volumes=composed, study=filled, warnings=tuple(dict.fromkeys(found)))


def _composed(
    roles: dict[Sequence, list[RoleVolume]],
) -> tuple[dict[Sequence, Volume], list[ExamWarning]]:
    """Return one volume a sequence, and what was seen at the seams; the stations are taken out of `roles`."""
    gains = _dixon_gains(roles)
    composed: dict[Sequence, Volume] = {}
    warnings = []
    for sequence in sorted(roles, key=list(Sequence).index):
        parts = [role.volume for role in roles.pop(sequence)]
        shared = gains if sequence in DIXON_IMAGES and gains and len(gains) == len(parts) else None
        whole = compose_stations(parts, equalise=sequence not in QUANTITIES, gains=shared)
        composed[sequence] = whole.volume
        warnings += [replace(w, text=f"{sequence}: {w.text}") for w in whole.warnings]
    return composed, warnings


def _dixon_gains(roles: Mapping[Sequence, list[RoleVolume]]) -> tuple[float, ...] | None:
    """Return one gain a station for all Dixon images, their stations brought into one order first."""
    present = [s for s in DIXON_IMAGES if s in roles]
    for sequence in present:
        roles[sequence].sort(key=lambda role: tuple(_centre(role.volume)[::-1]))
    return dixon_gains({s: [role.volume for role in roles[s]] for s in present})


def _in_known_units(
    volumes: Iterable[RoleVolume],
) -> tuple[dict[Sequence | float, list[RoleVolume]], list[ExamWarning]]:
    """Return the stations by sequence or b-value, ADC in um2/s and fat fractions in [0, 1]."""
    stations: dict[Sequence | float, list[RoleVolume]] = defaultdict(list)
    for role in volumes:
        b_value = role.volume.b_value_s_per_mm2
        key = role.sequence if role.sequence is not None else b_value
        if key is None:
            raise StudyError(f"{role.name} is diffusion without a b-value; name it by b, such as dwi_b900")
        stations[key].append(role)
    warnings = []
    # One unit for all stations of a sequence: a nearly empty station alone would mislead.
    if Sequence.ADC in stations:
        try:
            factor = adc_unit_factor(r.volume.array for r in stations[Sequence.ADC])
            stations[Sequence.ADC] = [_scaled(r, factor) for r in stations[Sequence.ADC]]
        except StudyError as error:
            del stations[Sequence.ADC]
            warnings.append(ExamWarning(code="adc_unit_unknown", text=f"left out the scanner's ADC: {error}"))
    if Sequence.FAT_FRACTION in stations:
        factor = _fraction_factor(r.volume.array for r in stations[Sequence.FAT_FRACTION])
        stations[Sequence.FAT_FRACTION] = [_scaled(r, factor) for r in stations[Sequence.FAT_FRACTION]]
    return stations, warnings


def _fraction_factor(arrays: Iterable[Array3D]) -> float:
    """Return the factor to a fraction: scanners write per cent and per mille as often."""
    top = max(float(array.max(initial=0.0)) for array in arrays)
    return 1.0 if top <= 2.0 else 0.01 if top <= 200.0 else 0.001


def _scaled(role: RoleVolume, factor: float) -> RoleVolume:
    """Return the station in its known unit, never negative."""
    array = role.volume.array * np.float32(factor) if factor != 1.0 else role.volume.array
    return replace(role, volume=replace(role.volume, array=np.maximum(array, np.float32(0.0))))


def _by_b(stations: _Stations) -> dict[float, list[Volume]]:
    """Return the diffusion stations by b-value (s/mm2)."""
    return {key: [r.volume for r in parts] for key, parts in stations.items() if isinstance(key, float)}


def _roles(stations: _Stations) -> dict[Sequence, list[RoleVolume]]:
    """Return the stations by sequence, with the low and the high b chosen among those acquired everywhere."""
    roles = {key: list(parts) for key, parts in stations.items() if isinstance(key, Sequence)}
    counts = {key: len(parts) for key, parts in stations.items() if isinstance(key, float)}
    for sequence, choose in ((Sequence.DWI_LOW, choose_low_b), (Sequence.DWI_HIGH, choose_high_b)):
        usable = {b: n for b, n in counts.items() if choose([b]) is not None}
        chosen = choose(b for b, n in usable.items() if n == max(usable.values()))
        if chosen is not None and sequence not in roles:
            roles[sequence] = list(stations[chosen])
    return roles


def _computed_adc(
    stations: _Stations, roles: Mapping[Sequence, list[RoleVolume]]
) -> dict[Sequence, list[RoleVolume]]:
    """Return the ADC of every high-b station from all b-values there, empty where there are none."""
    by_b = _by_b(stations)
    computed = []
    for role in roles.get(Sequence.DWI_HIGH, []):
        others = [_at_place(role.volume, candidates) for candidates in by_b.values()]
        usable = [v for v in others if v is not None]
        b_values = [v.b_value_s_per_mm2 or 0.0 for v in usable]
        if len(usable) < 2 or max(b_values) - min(b_values) < MINIMUM_B_DIFFERENCE:
            return {}
        computed.append(replace(role, sequence=Sequence.ADC, volume=adc_from_b_values(usable)))
    return {Sequence.ADC: computed} if computed else {}


def _at_place(place: Volume, candidates: list[Volume]) -> Volume | None:
    """Return the station that lies where `place` lies, on its grid, None without one."""
    for candidate in candidates:
        if share_grid(place, candidate):
            return candidate
    centre = _centre(place)
    nearest = min(candidates, key=lambda c: float(np.linalg.norm(_centre(c) - centre)))
    reach = 0.25 * min(np.multiply(place.shape, place.spacing_mm))
    if np.linalg.norm(_centre(nearest) - centre) > reach:
        return None
    return resampled_like(nearest, place)


def _centre(volume: Volume) -> npt.NDArray[np.float64]:
    """Return the centre of a volume, RAS+ mm."""
    return (volume.affine_ras_mm @ [*((n - 1) / 2 for n in volume.shape), 1.0])[:3]
