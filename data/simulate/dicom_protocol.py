"""What a Siemens-like scanner writes about each sequence: names, timings, image type.

Only the tags that readers and people look at. Timings are the simulated scanner's own where it has them.
"""

from __future__ import annotations

from dataclasses import dataclass

from marrowmap.data.exam import Sequence, Volume
from marrowmap.data.simulate.signal import SignalSettings

#: Nominal inversion time that nulls fat, and in-phase echo time of the Dixon pair, by field strength.
_FAT_NULL_MS = {1.5: 160.0, 3.0: 220.0}
_IN_PHASE_MS = {1.5: 4.77, 3.0: 2.46}


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The tags of one sequence that do not change from slice to slice.

    Attributes:
        image_type: Values of Image Type.
        scanning_sequence: DICOM words: SE, IR, GR, EP.
        sequence_variant: DICOM words: SK segmented, SP spoiled, OSP oversampling phase.
        scan_options: DICOM words; empty for none.
        acquisition_type: 2D or 3D.
        sequence_name: The vendor's own name of the pulse sequence.
        repetition_time_ms: Repetition time.
        echo_time_ms: Echo time.
        echo_train_length: Echoes per excitation.
        flip_angle_deg: Excitation angle.
        inversion_time_ms: Only for inversion recovery.
    """

    image_type: tuple[str, ...]
    scanning_sequence: tuple[str, ...]
    sequence_variant: tuple[str, ...]
    scan_options: tuple[str, ...]
    acquisition_type: str
    sequence_name: str
    repetition_time_ms: float
    echo_time_ms: float
    echo_train_length: int
    flip_angle_deg: float
    inversion_time_ms: float | None = None


def protocol_of(sequence: Sequence, volume: Volume, signal: SignalSettings) -> Protocol:
    """Return what the scanner writes for a sequence.

    Args:
        sequence: What the volume shows.
        volume: Gives the b-value of a diffusion volume; a missing one means the protocol's usual b.
        signal: Field strength and timings of the scanner.
    """
    if sequence in (Sequence.DWI_LOW, Sequence.DWI_HIGH):
        return _echo_planar("TRACEW", f"*ep_b{b_value_of(sequence, volume):d}t", signal)
    if sequence is Sequence.ADC:
        return _echo_planar("ADC", "*ep_adc", signal)
    if sequence in _DIXON_KINDS:
        return _dixon(sequence, signal)
    if sequence is Sequence.STIR:
        return _turbo_spin_echo(
            "*tir2d1_15",
            repetition_ms=signal.stir_repetition_ms,
            echo_ms=signal.stir_echo_ms,
            inversion_ms=_FAT_NULL_MS[signal.field_strength_t],
        )
    if sequence is Sequence.T2:
        return _turbo_spin_echo("*tse2d1_15", repetition_ms=4500.0, echo_ms=90.0)
    return _turbo_spin_echo(
        "*tse2d1_3", repetition_ms=signal.t1_repetition_ms, echo_ms=signal.t1_echo_ms, train=3
    )


def b_value_of(sequence: Sequence, volume: Volume) -> int:
    """Return the b-value to write, in s/mm2: the volume's own, else 50 (low) or 900 (high)."""
    if volume.b_value_s_per_mm2 is not None:
        return round(volume.b_value_s_per_mm2)
    return 900 if sequence is Sequence.DWI_HIGH else 50


_DIXON_KINDS = {
    Sequence.DIXON_IN: "IN_PHASE",
    Sequence.DIXON_OUT: "OPP_PHASE",
    Sequence.DIXON_FAT: "FAT",
    Sequence.DIXON_WATER: "WATER",
    Sequence.FAT_FRACTION: "FAT_FRACTION",
}


def _echo_planar(kind: str, name: str, signal: SignalSettings) -> Protocol:
    # Whole-body diffusion nulls fat by inversion: EP and IR together, which a reader must not take for STIR.
    return Protocol(
        image_type=("DERIVED", "PRIMARY", "DIFFUSION", kind, "NORM", "DIS2D"),
        scanning_sequence=("EP", "IR"),
        sequence_variant=("SK", "SP", "MP"),
        scan_options=("PFP", "IR"),
        acquisition_type="2D",
        sequence_name=name,
        repetition_time_ms=signal.diffusion_repetition_ms,
        echo_time_ms=signal.diffusion_echo_ms,
        echo_train_length=1,
        flip_angle_deg=90.0,
        inversion_time_ms=_FAT_NULL_MS[signal.field_strength_t],
    )


def _dixon(sequence: Sequence, signal: SignalSettings) -> Protocol:
    in_phase_ms = _IN_PHASE_MS[signal.field_strength_t]
    return Protocol(
        image_type=("DERIVED", "PRIMARY", "DIXON", _DIXON_KINDS[sequence], "NORM", "DIS3D"),
        scanning_sequence=("GR",),
        sequence_variant=("SK", "SP"),
        scan_options=("PFP",),
        acquisition_type="3D",
        sequence_name="*fl3d2",
        repetition_time_ms=signal.dixon_repetition_ms,
        echo_time_ms=in_phase_ms / 2 if sequence is Sequence.DIXON_OUT else in_phase_ms,
        echo_train_length=2,
        flip_angle_deg=signal.dixon_flip_deg,
    )


def _turbo_spin_echo(
    name: str, *, repetition_ms: float, echo_ms: float, inversion_ms: float | None = None, train: int = 15
) -> Protocol:
    return Protocol(
        image_type=("ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D"),
        scanning_sequence=("SE",) if inversion_ms is None else ("SE", "IR"),
        sequence_variant=("SK", "SP", "OSP") if inversion_ms is None else ("SK", "SP", "MP", "OSP"),
        scan_options=() if inversion_ms is None else ("IR",),
        acquisition_type="2D",
        sequence_name=name,
        repetition_time_ms=repetition_ms,
        echo_time_ms=echo_ms,
        echo_train_length=train,
        flip_angle_deg=150.0,
        inversion_time_ms=inversion_ms,
    )
