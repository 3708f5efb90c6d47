from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from marrowmap.data.errors import ReportFileError
from marrowmap.inference.report.pictures import ReportImages
from marrowmap.inference.report.tables import lesions_csv
from marrowmap.inference.report.write import write_map, write_outputs

Report = dict[str, Any]
Maps = dict[str, tuple[np.ndarray, np.ndarray]]
EXPECTED = {
    "report.json",
    "report.html",
    "lesions.csv",
    "mip.png",
    "lesions.nii.gz",
    "regions.nii.gz",
    "lesion_probability.nii.gz",
    "adc.nii.gz",
}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def fail(folder: Path) -> None:
    raise OSError("disk full")


def test_every_file_of_the_contract_is_written(
    tmp_path: Path, report: Report, coarse_images: ReportImages, maps: Maps
) -> None:
    write_outputs(tmp_path / "out", report, coarse_images, maps)
    assert names(tmp_path / "out") == EXPECTED
    assert names(tmp_path) == {"out"}
    assert json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8")) == report


def test_nothing_found_writes_the_same_files(
    tmp_path: Path, clean_report: Report, coarse_images: ReportImages, maps: Maps
) -> None:
    write_outputs(tmp_path / "deep" / "out", clean_report, coarse_images, maps)
    assert names(tmp_path / "deep" / "out") == EXPECTED


def test_a_failure_leaves_no_folder(
    tmp_path: Path, report: Report, coarse_images: ReportImages, maps: Maps
) -> None:
    with pytest.raises(OSError, match="disk full"):
        write_outputs(tmp_path / "out", report, coarse_images, maps, also=[fail])
    assert names(tmp_path) == set()


def test_a_failure_leaves_the_earlier_result(
    tmp_path: Path, report: Report, clean_report: Report, coarse_images: ReportImages, maps: Maps
) -> None:
    write_outputs(tmp_path / "out", report, coarse_images, maps)
    with pytest.raises(OSError, match="disk full"):
        write_outputs(tmp_path / "out", clean_report, coarse_images, maps, also=[fail])
    assert json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8")) == report
    assert names(tmp_path) == {"out"}


def test_a_wrong_report_is_refused_before_anything_is_written(
    tmp_path: Path, report: Report, coarse_images: ReportImages, maps: Maps
) -> None:
    report["counts"]["visible"] = -1
    with pytest.raises(ReportFileError, match=r"counts\.visible"):
        write_outputs(tmp_path / "out", report, coarse_images, maps)
    assert names(tmp_path) == set()


def test_a_second_run_replaces_its_files_and_keeps_others(
    tmp_path: Path, report: Report, clean_report: Report, coarse_images: ReportImages, maps: Maps
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "clinical.yaml").write_text("age_years: 63\n", encoding="utf-8")
    write_outputs(out, report, coarse_images, maps, also=[lambda folder: (folder / "dicom").mkdir()])
    without_adc = {stem: labelled for stem, labelled in maps.items() if stem != "adc"}
    write_outputs(out, clean_report, coarse_images, without_adc)
    assert names(out) == EXPECTED - {"adc.nii.gz"} | {"clinical.yaml"}
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["lesions"] == []


def test_more_files_are_moved_with_the_rest(
    tmp_path: Path, report: Report, coarse_images: ReportImages, maps: Maps
) -> None:
    def write_dicom(folder: Path) -> None:
        (folder / "dicom").mkdir()
        (folder / "dicom" / "seg.dcm").write_bytes(b"DICM")

    for _ in range(2):
        write_outputs(tmp_path / "out", report, coarse_images, maps, also=[write_dicom])
        assert (tmp_path / "out" / "dicom" / "seg.dcm").read_bytes() == b"DICM"


@pytest.mark.parametrize(
    ("stem", "values", "stored_type", "step"),
    [
        ("lesions", [0, 1, 300], np.uint16, 0.0),
        ("regions", [0, 3, 8], np.uint8, 0.0),
        ("lesion_probability", [0.0, 0.4321, 1.0], np.uint8, 0.002),
        ("adc", [0.0, 812.4, 2999.6], np.int16, 0.5),
    ],
)
def test_a_map_keeps_its_values_and_its_place(
    tmp_path: Path, stem: str, values: list[float], stored_type: type, step: float
) -> None:
    affine = np.array([[2.5, 0, 0, -90], [0, 2.5, 0, 40], [0, 0, 2.5, 7], [0, 0, 0, 1]], dtype=np.float64)
    write_map(tmp_path / "map.nii.gz", stem, np.array(values, dtype=np.float32).reshape(3, 1, 1), affine)
    image = nibabel.Nifti1Image.from_filename(tmp_path / "map.nii.gz")
    assert image.get_data_dtype() == stored_type
    assert np.abs(image.get_fdata().ravel() - values).max() <= step
    assert image.affine is not None
    assert np.array_equal(image.affine, affine)


def test_the_table_has_a_line_for_each_lesion_largest_first(report: Report) -> None:
    lines = list(csv.DictReader(lesions_csv(report).splitlines()))
    assert [line["id"] for line in lines] == ["1", "2", "3", "4"]
    assert lines[0]["adc_median_um2_per_s"] == "805.0"
    assert lines[0]["suspected_benign"] == ""
    assert lines[3]["suspected_benign"] == "haemangioma"
    assert lines[0]["centroid_a_mm"] == "-40.0"


def test_a_table_without_lesion_is_its_header(clean_report: Report) -> None:
    assert lesions_csv(clean_report).splitlines()[1:] == []
