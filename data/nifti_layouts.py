"""An exam as NIfTI in the layout that another tool expects: ours, BIDS, nnU-Net raw, the network's input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from marrowmap.data.exam import Exam, Sequence, Volume
from marrowmap.data.model_input import CHANNELS, ModelInputSettings, to_model_input
from marrowmap.data.nifti import write_exam_nifti, write_nifti
from marrowmap.data.placement import resampled_like, share_grid

Layout = Literal["sequence", "bids", "nnunet", "network"]

_SUBJECT, _CASE = "sub-001", "exam"
#: BIDS folder, entities and suffix by sequence; diffusion has its own.
_BIDS_NAMES = {
    Sequence.T1: ("anat", "T1w"),
    Sequence.T1_CONTRAST: ("anat", "ce-contrast_T1w"),
    Sequence.T2: ("anat", "T2w"),
    Sequence.STIR: ("anat", "acq-stir_T2w"),
    Sequence.DIXON_IN: ("anat", "acq-dixonin_T1w"),
    Sequence.DIXON_OUT: ("anat", "acq-dixonout_T1w"),
    Sequence.DIXON_FAT: ("anat", "acq-dixonfat_T1w"),
    Sequence.DIXON_WATER: ("anat", "acq-dixonwater_T1w"),
    Sequence.FAT_FRACTION: ("anat", "acq-dixonfraction_T1w"),
    Sequence.ADC: ("dwi", "param-adc_dwimap"),
}
_BIDS_VERSION = "1.10.0"


def write_exam(exam: Exam, folder: Path, layout: Layout = "sequence") -> list[Path]:
    """Write every volume of an exam; `read_exam` reads each layout back but the last.

    Args:
        exam: The exam.
        folder: Where to write; made if absent.
        layout: `sequence` names files by sequence, each on its own grid. `bids` writes a raw data set with
            one subject. `nnunet` writes raw data for inference: all volumes on the grid of the high-b
            diffusion, one channel each, their meaning in `dataset.json`. `network` writes one file
            `(i, j, k, channel)` in the units and on the grid of the default weights' input (`model_input`);
            it is for other programs that run the network, and is not read back as an exam.

    Returns:
        The NIfTI files written.
    """
    if layout == "bids":
        return _write_bids(exam, folder)
    if layout == "nnunet":
        return _write_nnunet(exam, folder)
    if layout == "network":
        return _write_network_input(exam, folder)
    return write_exam_nifti(exam, folder)


def _write_bids(exam: Exam, folder: Path) -> list[Path]:
    """Write a BIDS raw data set of one subject."""
    files = []
    for sequence, volume in exam.volumes.items():
        place, name = _BIDS_NAMES.get(sequence) or ("dwi", f"acq-b{volume.b_value_s_per_mm2 or 0:.0f}_dwi")
        path = folder / _SUBJECT / place / f"{_SUBJECT}_{name}.nii.gz"
        write_nifti(path, volume.array, volume.affine_ras_mm)
        files.append(path)
        stem = path.with_name(path.name.removesuffix(".nii.gz"))
        _write_json(stem.with_suffix(".json"), _sidecar(exam, sequence, volume))
        if name.endswith("_dwi"):
            # A trace image has no direction: a vector of zeros says so.
            stem.with_suffix(".bval").write_text(f"{volume.b_value_s_per_mm2 or 0:g}\n")
            stem.with_suffix(".bvec").write_text("0\n0\n0\n")
    described = {"Name": "marrowmap exam", "BIDSVersion": _BIDS_VERSION, "DatasetType": "raw"}
    _write_json(folder / "dataset_description.json", described)
    # ADC maps made by the scanner have no place in raw BIDS yet.
    (folder / ".bidsignore").write_text("*_dwimap.*\n")
    return files


def _sidecar(exam: Exam, sequence: Sequence, volume: Volume) -> dict[str, Any]:
    """Return the little that is known of a volume, in BIDS' words."""
    known: dict[str, Any] = {
        "Manufacturer": exam.study.vendor or None,
        "MagneticFieldStrength": exam.study.field_strength_t,
        "Units": {Sequence.ADC: "um2/s", Sequence.FAT_FRACTION: "1"}.get(sequence, "arbitrary"),
        "DiffusionBValue": volume.b_value_s_per_mm2,
    }
    return {key: value for key, value in known.items() if value is not None}


def _write_nnunet(exam: Exam, folder: Path) -> list[Path]:
    """Write nnU-Net raw data: one case for inference, all channels on the diffusion grid."""
    grid = exam[Sequence.DWI_HIGH]
    files, channels = [], {}
    for number, (sequence, volume) in enumerate(exam.volumes.items()):
        on_grid = volume if share_grid(volume, grid) else resampled_like(volume, grid)
        path = folder / "imagesTs" / f"{_CASE}_{number:04d}.nii.gz"
        write_nifti(path, np.asarray(on_grid.array, dtype=np.float32), grid.affine_ras_mm)
        files.append(path)
        channels[str(number)] = _channel_word(sequence, volume)
    described = {
        "channel_names": channels,
        "labels": {"background": 0, "lesion": 1},
        "numTraining": 0,
        "file_ending": ".nii.gz",
    }
    _write_json(folder / "dataset.json", described)
    return files


def _write_network_input(exam: Exam, folder: Path) -> list[Path]:
    """Write the five channels of the network's input as one file, and their meaning beside it."""
    settings = ModelInputSettings()
    model_input = to_model_input(exam, settings)
    path = folder / "network_input.nii.gz"
    write_nifti(path, np.moveaxis(model_input.array, 0, 3), model_input.grid.affine_ras_mm)
    present = dict(zip((str(c) for c in CHANNELS), model_input.present, strict=True))
    _write_json(folder / "network_input.json", {"channels": present, "settings": vars(settings)})
    return [path]


def _channel_word(sequence: Sequence, volume: Volume) -> str:
    """Return our word for a channel, with its b-value for diffusion."""
    is_dwi = sequence in (Sequence.DWI_LOW, Sequence.DWI_HIGH) and volume.b_value_s_per_mm2 is not None
    return f"dwi_b{volume.b_value_s_per_mm2:.0f}" if is_dwi else str(sequence)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Write plain data as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
