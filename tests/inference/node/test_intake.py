"""Instances on disk: whole, once, under names that nobody can choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from marrowmap.inference.node import intake as intake_module
from marrowmap.inference.node.config import LimitSettings
from marrowmap.inference.node.database import Database
from marrowmap.inference.node.intake import Arrival, InstanceError, Intake, Outcome, read_arrival
from marrowmap.inference.node.limits import DiskQuota, QuotaError

MR, SEG = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.66.4"


@pytest.fixture
def quota(tmp_path: Path) -> DiskQuota:
    return DiskQuota(tmp_path, LimitSettings(quota_gb=2e-6, free_gb=0.0))  # 2000 bytes


@pytest.fixture
def intake(tmp_path: Path, quota: DiskQuota) -> Iterator[Intake]:
    database = Database(tmp_path / "q.sqlite")
    yield Intake(database, tmp_path / "studies", quota, 3)
    database.close()


def arrival(sop_uid: str, size: int = 100, sop_class: str = MR) -> Arrival:
    return Arrival(encoded=bytes(size), study_uid="1.2.3", sop_uid=sop_uid, sop_class=sop_class)


def test_an_instance_is_on_disk_as_it_came(intake: Intake) -> None:
    assert intake.accept(arrival("1.1")) is Outcome.STORED
    (file,) = intake.files_of(intake.study("1.2.3"))
    assert file.read_bytes() == bytes(100)


def test_a_second_copy_is_acknowledged_and_not_kept(intake: Intake, quota: DiskQuota) -> None:
    intake.accept(arrival("1.1"))
    assert intake.accept(arrival("1.1")) is Outcome.KNOWN
    assert len(intake.files_of(intake.study("1.2.3"))) == 1
    assert quota.used_bytes == 100


def test_our_own_results_coming_back_are_no_images(intake: Intake, tmp_path: Path) -> None:
    assert intake.accept(arrival("1.1", sop_class=SEG)) is Outcome.IGNORED
    assert not (tmp_path / "studies").exists()


def test_our_own_composed_series_coming_back_is_no_source(
    intake: Intake, write_slice: Callable[..., Dataset], tmp_path: Path
) -> None:
    ours, theirs = write_slice("1.2.3", "1.2.3.1", 1), write_slice("1.2.3", "1.2.3.1", 2)
    ours.ManufacturerModelName = "marrowmap"
    outcomes = []
    for dataset in (ours, theirs):
        dataset.save_as(tmp_path / "one.dcm", enforce_file_format=True)
        outcomes.append(intake.accept(read_arrival((tmp_path / "one.dcm").read_bytes())))
    assert outcomes == [Outcome.IGNORED, Outcome.STORED]


def test_no_part_of_a_path_comes_from_a_tag(intake: Intake, tmp_path: Path) -> None:
    intake.accept(arrival("1.1"))
    (file,) = intake.files_of(intake.study("1.2.3"))
    assert file.parent.name == "00000001"
    assert len(file.stem) == 16
    assert "1.2.3" not in str(file.relative_to(tmp_path))


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2/../3", "", "1.2.", "1." + "2" * 63])
def test_a_uid_that_is_none_is_refused(uid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    header = {"StudyInstanceUID": uid, "SOPInstanceUID": "1.1", "SOPClassUID": MR}
    monkeypatch.setattr(intake_module.pydicom, "dcmread", lambda *_, **__: header)
    with pytest.raises(InstanceError, match="StudyInstanceUID missing or malformed"):
        read_arrival(b"")


def test_bytes_that_are_no_dicom_are_refused() -> None:
    with pytest.raises(InstanceError, match="not readable"):
        read_arrival(b"GET / HTTP/1.1\r\n\r\n" * 20)


def test_an_instance_beyond_the_quota_is_refused_and_leaves_no_file(intake: Intake, quota: DiskQuota) -> None:
    intake.accept(arrival("1.1", size=1200))
    with pytest.raises(QuotaError, match="the quota of 2e-06 GB is used up"):
        intake.accept(arrival("1.2", size=1200))
    assert len(intake.files_of(intake.study("1.2.3"))) == 1
    assert quota.used_bytes == 1200


def test_a_study_of_too_many_instances_is_refused(intake: Intake) -> None:
    for number in range(3):
        intake.accept(arrival(f"1.{number}"))
    with pytest.raises(InstanceError, match="its study has 3 instances already"):
        intake.accept(arrival("1.9"))


def test_a_file_cut_off_before_it_was_acknowledged_is_swept_away(intake: Intake, tmp_path: Path) -> None:
    intake.accept(arrival("1.1"))
    half = tmp_path / "studies" / "00000001" / "cut.dcm"
    half.write_bytes(b"half")
    assert intake.sweep() == 1
    assert not half.exists()
    assert len(intake.files_of(intake.study("1.2.3"))) == 1


def test_a_study_cleared_away_is_still_known_and_can_come_again(intake: Intake) -> None:
    intake.accept(arrival("1.1"))
    study = intake.study("1.2.3")
    intake.clear(study)
    assert (intake.files_of(study), intake.known("1.2.3")) == ([], 1)
    assert intake.accept(arrival("1.1")) is Outcome.STORED
    assert intake.known("1.2.3") == 1


def test_the_hash_of_a_study_differs_from_node_to_node(
    intake: Intake, tmp_path: Path, quota: DiskQuota
) -> None:
    other = Intake(Database(tmp_path / "other.sqlite"), tmp_path / "other", quota, 3)
    assert intake.alias("1.2.3") == intake.alias("1.2.3")
    assert len({intake.alias("1.2.3"), intake.alias("1.2.4"), other.alias("1.2.3")}) == 3
