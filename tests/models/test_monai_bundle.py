"""The MONAI bundle: MONAI runs it, and it answers as our own engine does."""

import json
from pathlib import Path

import nibabel.nifti1
import numpy as np
import pytest
import torch
from monai.bundle.config_parser import ConfigParser
from monai.bundle.scripts import run

from marrowmap.data.errors import StudyError
from marrowmap.data.exam import Exam, Sequence, StudyInfo, Volume
from marrowmap.data.model_input import CHANNELS, to_model_input
from marrowmap.data.nifti_layouts import write_exam
from marrowmap.models.bundle import Bundle
from marrowmap.models.engine import open_engine
from marrowmap.models.monai_bundle import LESION_LABEL, labels, write_monai_bundle
from marrowmap.models.monai_transforms import LogitsToLabelsd, StudyToInputd
from marrowmap.models.unet import LESION_CHANNEL

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """A folder with one study of NIfTI files, 20 x 12 x 26 voxels of 3 mm."""
    random = np.random.default_rng(0)
    volumes = {
        name: Volume(array=random.uniform(50, 400, (20, 12, 26)).astype(np.float32), affine_ras_mm=AFFINE)
        for name in (Sequence.T1, Sequence.STIR, Sequence.ADC)
    }
    for name, b in ((Sequence.DWI_LOW, 50.0), (Sequence.DWI_HIGH, 900.0)):
        array = random.uniform(50, 400, (20, 12, 26)).astype(np.float32)
        volumes[name] = Volume(array=array, affine_ras_mm=AFFINE, b_value_s_per_mm2=b)
    write_exam(Exam(volumes=volumes, study=StudyInfo()), tmp_path / "studies" / "first")
    return tmp_path / "studies"


@pytest.fixture
def root(small_bundle: Bundle) -> Path:
    return write_monai_bundle(small_bundle)


def test_the_metadata_has_what_the_schema_of_monai_demands(root: Path) -> None:
    metadata = json.loads((root / "configs" / "metadata.json").read_text())
    demanded = {
        "version", "changelog", "monai_version", "pytorch_version", "numpy_version", "task", "description",
        "authors", "copyright", "network_data_format",
    }  # fmt: skip
    assert demanded <= metadata.keys()
    image = metadata["network_data_format"]["inputs"]["image"]
    assert image["channel_def"] == {str(n): channel.value for n, channel in enumerate(CHANNELS)}
    assert image["spatial_shape"] == [16, 8, 24]
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"]["9"] == "lesion"
    assert labels()["3"] == "thoracic_spine"


# MONAI warns of every configuration that it may run code: this one is ours.
@pytest.mark.filterwarnings("ignore:parsing config_file")
def test_monai_runs_the_bundle_from_a_study_to_a_label_map_in_its_place(
    root: Path, studies: Path, tmp_path: Path
) -> None:
    run(
        config_file=str(root / "configs" / "inference.json"),
        bundle_root=str(root),
        dataset_dir=str(studies),
        output_dir=str(tmp_path / "out"),
        logging_file=str(root / "configs" / "logging.conf"),
    )
    (path,) = (tmp_path / "out").rglob("*.nii.gz")
    image = nibabel.nifti1.load(path)
    found = np.asarray(image.dataobj)
    assert found.dtype == np.uint8
    assert set(np.unique(found)) <= set(range(LESION_LABEL + 1))
    expected = StudyToInputd("image", spacing_mm=3.0)({"image": str(studies / "first")})["image"]
    assert found.shape == tuple(expected.shape[1:])
    np.testing.assert_allclose(np.asarray(image.affine), expected.affine.numpy(), atol=1e-4)


def test_its_network_gives_the_logits_of_our_engine(root: Path, small_bundle: Bundle) -> None:
    parser = ConfigParser()
    parser.read_config(root / "configs" / "inference.json")
    parser["bundle_root"], parser["device"] = str(root), "cpu"
    parser.get_parsed_content("initialize")
    network = parser.get_parsed_content("network")
    patch = np.random.default_rng(1).random((len(CHANNELS), 16, 8, 24), dtype=np.float32)
    with torch.no_grad():
        found = network(torch.from_numpy(patch)[None])[0].numpy()
    np.testing.assert_allclose(found, open_engine(small_bundle, "cpu", 1).run(patch), atol=1e-2)
    np.testing.assert_allclose(found, open_engine(small_bundle, "torch-cpu").run(patch), atol=1e-4)


def test_a_written_input_and_its_study_are_the_same_to_the_network(studies: Path, tmp_path: Path) -> None:
    from marrowmap.data.read import read_exam

    exam = read_exam(studies / "first")
    (path,) = write_exam(exam, tmp_path / "input", "network")
    expected = to_model_input(exam)
    found = StudyToInputd("image")({"image": str(path)})["image"]
    np.testing.assert_allclose(found.numpy(), expected.array, atol=1e-6)
    assert found.shape[0] == len(CHANNELS)
    np.testing.assert_allclose(found.affine.numpy(), expected.grid.affine_ras_mm, atol=1e-4)


def test_a_file_of_other_channels_is_refused(studies: Path) -> None:
    path = studies / "first" / "t1.nii.gz"
    with pytest.raises(StudyError, match=r"^need a file of 5 channels .*found shape \(20, 12, 26\) in t1"):
        StudyToInputd("image")({"image": str(path)})


def test_lesions_are_found_by_the_threshold_and_outlined_at_one_half() -> None:
    from monai.data.meta_tensor import MetaTensor

    logits = torch.full((10, 4, 4, 8), -9.0)
    logits[1] = 5.0
    logits[LESION_CHANNEL, 0, 0, :3] = torch.tensor([0.5, 4.0, 0.5])  # 0.62, 0.98, 0.62
    logits[LESION_CHANNEL, 3, 3, 7] = 0.5  # never reaches the threshold
    made = LogitsToLabelsd("pred", lesion_threshold=0.9)({"pred": MetaTensor(logits)})["pred"]
    assert made.dtype == torch.uint8
    assert made[0, 0, 0].tolist() == [LESION_LABEL] * 3 + [0] * 5
    assert int((made > 0).sum()) == 3
