import json
import shutil
from pathlib import Path

import pytest

from marrowmap.data.errors import BundleError
from marrowmap.models.bundle import WEIGHT_FILES, Bundle, load_bundle, load_state, revise_metadata


@pytest.fixture
def copied(small_bundle: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_bundle.folder, tmp_path / "copied"))


def edit_metadata(folder: Path, **changes: object) -> None:
    path = folder / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_saved_bundle_loads_as_it_was_described(small_bundle: Bundle) -> None:
    loaded = load_bundle(small_bundle.folder)
    assert loaded == small_bundle
    assert loaded.patch_size == (16, 8, 24)
    assert loaded.lesion_threshold == 0.4
    assert loaded.input.spacing_mm == 3.0
    assert len(loaded.sha256) == 64


def test_a_bundle_is_five_files_and_nothing_is_left_beside_it(small_bundle: Bundle) -> None:
    names = {path.name for path in small_bundle.folder.iterdir()}
    assert names == {*WEIGHT_FILES, "metadata.json", "model_card.md"}
    assert [path.name for path in small_bundle.folder.parent.iterdir()] == ["small"]


def test_parameters_are_stored_once_in_float16(small_bundle: Bundle) -> None:
    from marrowmap.models.convert import network_settings
    from marrowmap.models.unet import build_unet

    network = build_unet(network_settings(small_bundle))
    count = sum(parameter.numel() for parameter in network.parameters())
    size = (small_bundle.folder / "model.safetensors").stat().st_size
    assert 2 * count < size < 2 * count + 10_000
    network.load_state_dict(load_state(small_bundle))


def test_a_bundle_moves_to_another_folder(copied: Path, small_bundle: Bundle) -> None:
    assert load_bundle(copied).sha256 == small_bundle.sha256


@pytest.mark.parametrize("name", WEIGHT_FILES)
def test_one_changed_byte_of_any_weight_file_is_refused(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[-1] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(BundleError, match="are not those of its metadata: need sha256"):
        load_bundle(copied)


@pytest.mark.parametrize("name", WEIGHT_FILES)
def test_a_missing_weight_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(BundleError, match=f"need {name} in .*, found none"):
        load_bundle(copied)


def test_an_empty_folder_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no weights in .*: need metadata\.json; name a bundle"):
        load_bundle(tmp_path)


def test_metadata_that_is_not_json_is_refused(copied: Path) -> None:
    (copied / "metadata.json").write_text("{")
    with pytest.raises(BundleError, match=r"cannot read .*metadata\.json"):
        load_bundle(copied)


def test_another_format_is_refused(copied: Path) -> None:
    edit_metadata(copied, format="marrowmap-bundle/9")
    with pytest.raises(BundleError, match="format marrowmap-bundle/1, found marrowmap-bundle/9"):
        load_bundle(copied)


def test_another_order_of_channels_is_refused(copied: Path) -> None:
    edit_metadata(copied, channels=["t1", "stir", "adc", "dwi_high", "fat_fraction"])
    with pytest.raises(BundleError, match=r"need input channels .* found .*'t1', 'stir'"):
        load_bundle(copied)


def test_weights_for_other_regions_are_refused(copied: Path, small_bundle: Bundle) -> None:
    edit_metadata(copied, network={**small_bundle.network, "regions": 4})
    with pytest.raises(BundleError, match="5 input and 9 region channels, found 5 and 4"):
        load_bundle(copied)


def test_an_unknown_input_setting_is_refused(copied: Path) -> None:
    edit_metadata(copied, input={"spacing_cm": 1})
    with pytest.raises(BundleError, match=r"does not fit this version: .*spacing_cm"):
        load_bundle(copied)


def test_a_missing_key_is_named(copied: Path) -> None:
    path = copied / "metadata.json"
    metadata = json.loads(path.read_text())
    del metadata["patch_size"]
    path.write_text(json.dumps(metadata))
    with pytest.raises(BundleError, match="need 'patch_size' in"):
        load_bundle(copied)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.2])
def test_a_threshold_that_is_no_probability_is_refused(copied: Path, threshold: float) -> None:
    with pytest.raises(BundleError, match="threshold between 0 and 1"):
        revise_metadata(load_bundle(copied), lesion_threshold=threshold)


def test_a_calibrated_threshold_keeps_the_weights(copied: Path, small_bundle: Bundle) -> None:
    revised = revise_metadata(load_bundle(copied), lesion_threshold=0.55)
    assert revised.sha256 == small_bundle.sha256
    assert load_bundle(copied).lesion_threshold == 0.55


def test_settings_that_build_another_network_are_refused(copied: Path, small_bundle: Bundle) -> None:
    from marrowmap.models.convert import load_network

    edit_metadata(copied, network={**small_bundle.network, "features": [8, 24, 16]})
    with pytest.raises(BundleError, match="does not fit its network settings"):
        load_network(load_bundle(copied))


def test_settings_of_a_later_network_are_refused(copied: Path, small_bundle: Bundle) -> None:
    from marrowmap.models.convert import load_network

    edit_metadata(copied, network={**small_bundle.network, "attention": True})
    with pytest.raises(BundleError, match=r"network settings of another version: .*attention"):
        load_network(load_bundle(copied))
