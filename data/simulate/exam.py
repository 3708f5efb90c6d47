"""An exam that never was: from a seed to a body, its disease, and what a scanner makes of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from marrowmap.data.exam import Exam, Sequence, StudyInfo, Volume
from marrowmap.data.simulate.disease import DiseasedBody, diseased_body
from marrowmap.data.simulate.disease_settings import DiseaseSettings
from marrowmap.data.simulate.effects import Effect
from marrowmap.data.simulate.labels import regions_of_bones
from marrowmap.data.simulate.protocol import ScannerSettings, draw_scanner_settings
from marrowmap.data.simulate.scanner import Acquisition, acquire
from marrowmap.data.simulate.signal import SignalSettings, draw_signal_settings
from marrowmap.data.simulate.truth import LesionTruth, MimicTruth, Pattern, Truth
from marrowmap.data.simulate.variants import AnatomySettings, proven
from marrowmap.data.stations import DIXON_IMAGES, QUANTITIES, compose_stations, dixon_gains

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy

__all__ = [
    "Acquisition",
    "LesionTruth",
    "MimicTruth",
    "SimulatedExam",
    "SimulationSettings",
    "Truth",
    "simulate_exam",
    "to_exam",
]


@dataclass(frozen=True, kw_only=True)
class SimulationSettings:
    """What is fixed of a simulated exam; what is None is drawn from the seed.

    Attributes:
        spacing_mm: Voxel side of the body and of the truth.
        field_strength_t: 1.5 or 3.
        missing: Sequences left out on demand.
        effects: Names of the scanner's effects to show (`effects.Effect`), all others absent; None draws.
        wildness: How far contrasts leave physics: 0 (physical) to 1 (wild), for training.
        anatomy: What the body must be like.
        disease: How disease is drawn.
        signal: Timings of the sequences.
        scanner: Protocol.
    """

    spacing_mm: float = 2.0
    field_strength_t: float | None = None
    missing: frozenset[Sequence] = frozenset()
    effects: frozenset[str] | None = None
    wildness: float = 0.0
    anatomy: AnatomySettings = field(default_factory=AnatomySettings)
    disease: DiseaseSettings = field(default_factory=DiseaseSettings)
    signal: SignalSettings | None = None
    scanner: ScannerSettings | None = None


@dataclass(frozen=True, kw_only=True)
class SimulatedExam:
    """What the scanner delivers, and what is true.

    Attributes:
        acquisitions: Stations of every sequence, head first.
        truth: Lesions, regions, person.
        signal: Timings that made it.
        scanner: Protocol that made it.
        days: Days after the person's first exam: a follow-up has a date and identifiers of its own.
    """

    acquisitions: tuple[Acquisition, ...]
    truth: Truth
    signal: SignalSettings = field(default_factory=SignalSettings)
    scanner: ScannerSettings = field(default_factory=ScannerSettings)
    days: int = 0


def simulate_exam(
    seed: int,
    *,
    pattern: Pattern | Literal["random"] = "random",
    settings: SimulationSettings | None = None,
    anatomy: Anatomy | None = None,
) -> SimulatedExam:
    """Simulate one exam; the same arguments give the same exam on any machine with any number of workers.

    Args:
        seed: Decides everything; anatomy, disease, signal and scanner each have their own stream.
        pattern: Infiltration pattern, or `random`.
        settings: What is fixed; everything is drawn if None.
        anatomy: A body made before, to save its time; built from the seed if None.

    Returns:
        Acquisitions and truth.

    Raises:
        SettingsError: If the pattern is unknown or a setting is out of range.
    """
    settings = settings or SimulationSettings()
    bodies, diseases, signals, scanners = (
        np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(4)
    )
    anatomy = anatomy or built_anatomy(bodies, settings)
    body = diseased_body(anatomy, diseases, pattern=pattern, settings=settings.disease)
    return scan_body(anatomy, body, seed, signals=signals, scanners=scanners, settings=settings)


def scan_body(
    anatomy: Anatomy,
    body: DiseasedBody,
    seed: int,
    *,
    signals: np.random.Generator,
    scanners: np.random.Generator,
    settings: SimulationSettings,
) -> SimulatedExam:
    """Put a body with its disease into a scanner; a follow-up puts the same one there again.

    Args:
        anatomy: Tissue and bone maps.
        body: Materials and lesions on the same grid.
        seed: Recorded in the truth.
        signals: Draws the timings that the settings leave open.
        scanners: Draws the protocol, gains, shifts and noise.
        settings: What is fixed.
    """
    signal = settings.signal or draw_signal_settings(signals, field_strength_t=settings.field_strength_t)
    scanner = settings.scanner or draw_scanner_settings(scanners, effects=settings.effects)
    scanner = replace(scanner, sequences=scanner.sequences - settings.missing)
    if Effect.SPAIR in scanner.effects:
        signal = replace(signal, diffusion_fat="spair")
    acquisitions = acquire(
        anatomy, body, scanners, signal=signal, scanner=scanner, wildness=settings.wildness
    )
    truth = replace(
        _truth(anatomy, body, seed),
        effects={effect.value: strength for effect, strength in scanner.effects.strengths.items()},
        acquisition=acquisition_truth(acquisitions, signal, scanner, settings.wildness),
    )
    return SimulatedExam(acquisitions=acquisitions, truth=truth, signal=signal, scanner=scanner)


def to_exam(simulated: SimulatedExam) -> Exam:
    """Compose the stations as for an exam that was read.

    Args:
        simulated: What the scanner delivered.

    Returns:
        One volume a sequence.

    Raises:
        SequenceMissingError: If high-b diffusion or every anatomical sequence was left out.
    """
    stations: dict[Sequence, list[Volume]] = defaultdict(list)
    low_b = simulated.scanner.b_values_s_per_mm2[0]
    for acquisition in simulated.acquisitions:
        b_value = acquisition.volume.b_value_s_per_mm2
        is_middle_b = acquisition.sequence is Sequence.DWI_LOW and b_value not in (None, low_b)
        if not is_middle_b:
            stations[acquisition.sequence].append(acquisition.volume)
    gains = dixon_gains(stations)
    composed = {
        sequence: compose_stations(
            volumes, equalise=sequence not in QUANTITIES, gains=gains if sequence in DIXON_IMAGES else None
        )
        for sequence, volumes in stations.items()
    }
    person = simulated.truth.person
    return Exam(
        volumes={sequence: whole.volume for sequence, whole in composed.items()},
        study=StudyInfo(
            stations={sequence: len(volumes) for sequence, volumes in stations.items()},
            vendor="simulated",
            field_strength_t=simulated.signal.field_strength_t,
            patient_sex=person.sex,
            patient_age_years=person.age_years,
        ),
        warnings=tuple(warning for whole in composed.values() for warning in whole.warnings),
    )


def _truth(anatomy: Anatomy, body: DiseasedBody, seed: int) -> Truth:
    return Truth(
        lesion_labels=body.lesion_labels,
        regions=regions_of_bones(anatomy.bone),
        affine_ras_mm=np.asarray(anatomy.affine_ras_mm, dtype=np.float64),
        lesions=body.lesions,
        mimics=body.mimics,
        person=anatomy.person,
        pattern=body.pattern,
        diffuse_grade=body.diffuse_grade,
        marrow_fat_fraction=body.marrow_fat_fraction,
        has_hyperplasia=body.has_hyperplasia,
        variants=proven(
            anatomy.variants, {lesion.bone for lesion in body.lesions if lesion.collapses_vertebra}
        ),
        seed=seed,
    )


def acquisition_truth(
    acquisitions: tuple[Acquisition, ...], signal: SignalSettings, scanner: ScannerSettings, wildness: float
) -> dict[str, Any]:
    """Return how an exam was acquired, as plain words and numbers for `truth.json`."""
    stations: dict[str, list[int]] = defaultdict(list)
    for acquisition in acquisitions:
        if acquisition.station not in stations[acquisition.sequence.value]:
            stations[acquisition.sequence.value].append(acquisition.station)
    low_b, high_b = scanner.b_values_s_per_mm2
    return {
        "field_strength_t": signal.field_strength_t,
        "stations": dict(stations),
        "b_values_s_per_mm2": [low_b, *scanner.middle_b_values_s_per_mm2, high_b],
        "diffusion_fat": signal.diffusion_fat,
        "t1_orientation": scanner.t1_orientation,
        "stir_orientation": scanner.stir_orientation,
        "diffusion_orientation": scanner.diffusion_orientation,
        "wildness": wildness,
    }


def built_anatomy(rng: np.random.Generator, settings: SimulationSettings) -> Anatomy:
    """Return a body drawn for an exam."""
    # Bone surfaces need the [simulate] extra; who brings an anatomy does not.
    from marrowmap.data.simulate.anatomy import build_anatomy
    from marrowmap.data.simulate.person import draw_person

    return build_anatomy(draw_person(rng), rng, spacing_mm=settings.spacing_mm, settings=settings.anatomy)
