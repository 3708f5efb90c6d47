"""A reader's decision makes the objects anew; a signature makes them final."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from marrowmap.data.errors import ReportFileError, SettingsError
from marrowmap.inference.revise import revise_folder
from marrowmap.inference.signature import Signature
from marrowmap.scripts import revise as revise_command

from .conftest import Result
from .validators import iod_errors, needs_dciodvfy

LASTING = ("seg_regions.dcm", "adc.dcm", "probability.dcm", "composed/0001.dcm", "composed/0009.dcm")


@pytest.fixture(scope="module")
def revised(result: Result, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The second lesion rejected."""
    out = tmp_path_factory.mktemp("revised") / "out"
    shutil.copytree(result.out, out)
    report = revise_folder(out, {2: "reject"})
    return Result(study=result.study, out=out, report=report)


def test_a_rejected_lesion_leaves_every_object(revised: Result) -> None:
    labels = [item.SegmentLabel for item in revised.read("seg.dcm").SegmentSequence]
    assert labels == ["Lesion 1, sacrum and pelvis", "Lesion 3, sacrum and pelvis"]
    names = [item.ROIName for item in revised.read("rtstruct.dcm").StructureSetROISequence]
    assert names == labels
    groups = revised.read("sr.dcm").ContentSequence[-1].ContentSequence
    assert len(groups) == 1 + 2


def test_a_lesion_keeps_its_tracking_uid(result: Result, revised: Result) -> None:
    before = {item.TrackingID: item.TrackingUID for item in result.read("seg.dcm").SegmentSequence}
    after = {item.TrackingID: item.TrackingUID for item in revised.read("seg.dcm").SegmentSequence}
    assert after.items() <= before.items()


def test_what_changed_has_a_new_uid_and_names_what_it_replaces(result: Result, revised: Result) -> None:
    for name in ("seg.dcm", "sr.dcm", "report.dcm", "mip.dcm", "rtstruct.dcm"):
        assert revised.read(name).SOPInstanceUID != result.read(name).SOPInstanceUID, name
    replaced = revised.read("sr.dcm").PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert replaced.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == result.read("sr.dcm").SOPInstanceUID


def test_what_a_decision_does_not_touch_stays_byte_for_byte(result: Result, revised: Result) -> None:
    for name in LASTING:
        assert (revised.dicom / name).read_bytes() == (result.dicom / name).read_bytes()


def test_a_decision_alone_signs_nothing(revised: Result) -> None:
    assert revised.read("sr.dcm").VerificationFlag == "UNVERIFIED"
    assert revised.read("report.dcm").VerificationFlag == "UNVERIFIED"


@needs_dciodvfy
def test_a_signature_makes_the_report_final_until_the_next_decision(
    result: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(result.out, out)
    signed = Result(study=result.study, out=out, report=result.report)
    words = [str(out), "--signed-by", "Müller^Rita", "--organization", "Klinik"]
    assert revise_command.main(words) == 0
    assert capsys.readouterr().out.startswith("0 rejected, 0 accepted: 3 lesions")
    document = signed.read("sr.dcm")
    assert (document.PreliminaryFlag, document.VerificationFlag) == ("FINAL", "VERIFIED")
    observer = document.VerifyingObserverSequence[0]
    assert (observer.VerifyingObserverName, observer.VerifyingOrganization) == ("Müller^Rita", "Klinik")
    assert signed.read("report.dcm").VerificationFlag == "VERIFIED"
    assert iod_errors(out / "dicom" / "sr.dcm") == iod_errors(out / "dicom" / "report.dcm") == []
    again = revise_folder(out, {1: "accept"})
    assert "signed_by" not in again["revision"]
    assert signed.read("sr.dcm").VerificationFlag == "UNVERIFIED"


@pytest.mark.parametrize(("name", "organization"), [("", "Clinic"), ("Reader^Rita", ""), ("A\\B", "Clinic")])
def test_half_a_signature_is_refused(name: str, organization: str) -> None:
    with pytest.raises(SettingsError, match=r"need the (name|organization) of who signs in 1 to 64"):
        Signature(name=name, organization=organization)


def test_damaged_headers_are_named(result: Result, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(result.out, out)
    (out / "dicom_sources.zip").write_bytes(b"nothing")
    with pytest.raises(ReportFileError, match=r"dicom_sources\.zip is damaged"):
        revise_folder(out, {1: "reject"})
    assert (out / "report.json").is_file()
    assert (out / "dicom" / "seg.dcm").is_file()
