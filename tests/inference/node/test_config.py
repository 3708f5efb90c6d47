"""The configuration: typed, and refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from marrowmap.data.errors import NodeError, SettingsError
from marrowmap.inference.node.config import LimitSettings, NodeSettings, PriorSettings, ReceiveSettings
from marrowmap.inference.node.peers import ArchiveSettings, DimseSettings, TlsSettings, WebSettings
from marrowmap.inference.node.tls import server_context

DIMSE = DimseSettings(ae_title="PACS", host="pacs")
WEB = WebSettings(url="https://pacs/dicom-web")


def test_the_example_of_the_documentation_is_a_good_one(tmp_path: Path, stand_in: Any) -> None:
    page = Path(__file__).parents[3] / "docs" / "node.md"
    example = page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    for name in ("node.pem", "node.key", "hospital.pem", "password"):
        (tmp_path / name).touch()
        example = example.replace(f"/etc/marrowmap/{name}", str(tmp_path / name))
    (tmp_path / "node.yaml").write_text(example)
    settings = stand_in.read_settings(tmp_path / "node.yaml")
    assert settings.receive.ae_title == "MARROWMAP"
    assert [archive.name for archive in settings.archives] == ["pacs", "research"]
    assert settings.prior.archive == "pacs"


def test_an_unknown_key_is_refused_with_its_name(tmp_path: Path, stand_in: Any, capsys: Any) -> None:
    (tmp_path / "node.yaml").write_text("folder: x\nlimits: {quota_tb: 1}\n")
    with pytest.raises(SystemExit) as stop:
        stand_in.read_settings(tmp_path / "node.yaml")
    assert stop.value.code == 2
    assert "quota_tb" in capsys.readouterr().err


@pytest.mark.parametrize("title", ["", "A" * 17, "A\\B", " A", "A "])
def test_what_is_no_ae_title_is_refused(title: str) -> None:
    with pytest.raises(SettingsError, match="need an AE title of 1 to 16 characters"):
        ReceiveSettings(calling_ae_titles=(title,))


def test_titles_may_hold_spaces_inside_and_sixteen_characters() -> None:
    assert ReceiveSettings(calling_ae_titles=("MY PACS", "A" * 16)).port == 11112


@pytest.mark.parametrize("port", [-1, 65_536])
def test_what_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(SettingsError, match=f"need a port from 0 to 65535, found {port}"):
        ReceiveSettings(calling_ae_titles=("PACS",), port=port)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: NodeSettings(folder=Path("x")), "need receive or poll"),
        (lambda: ReceiveSettings(calling_ae_titles=()), "needs one AE title or more"),
        (lambda: ArchiveSettings(name="a"), "archive a needs either dimse or web"),
        (lambda: ArchiveSettings(name="a", dimse=DIMSE, web=WEB), "archive a needs either dimse or web"),
        (lambda: ArchiveSettings(name="../a", dimse=DIMSE), "need an archive name of letters and digits"),
        (lambda: WebSettings(url="file:///etc"), "need a URL such as https://host/dicom-web"),
        (lambda: WebSettings(url="https://a", user="u"), "user and password_file go together"),
        (lambda: WebSettings(url="https://a", token_file=Path("no")), "need the file no for the archive"),
        (lambda: LimitSettings(quota_gb=0.0), "limits.quota_gb needs a positive number, found 0.0"),
        (
            lambda: TlsSettings(certificate=Path("no"), key=Path("no"), authorities=Path("no")),
            "need the file no for TLS, found none",
        ),
    ],
)
def test_what_cannot_work_is_refused(make: Any, match: str) -> None:
    with pytest.raises(SettingsError, match=match):
        make()


def node(**named: Any) -> NodeSettings:
    return NodeSettings(folder=Path("x"), receive=ReceiveSettings(calling_ae_titles=("PACS",)), **named)


def test_two_archives_of_one_name_and_a_prior_of_none_are_refused() -> None:
    pacs = ArchiveSettings(name="pacs", dimse=DIMSE)
    with pytest.raises(SettingsError, match="need different archive names, found pacs, pacs"):
        node(archives=(pacs, pacs))
    with pytest.raises(SettingsError, match=r"prior.archive needs one of pacs, found vna"):
        node(archives=(pacs,), prior=PriorSettings(archive="vna"))


def test_a_certificate_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    for name in ("a.pem", "a.key", "ca.pem"):
        (tmp_path / name).write_text("no certificate")
    settings = TlsSettings(
        certificate=tmp_path / "a.pem", key=tmp_path / "a.key", authorities=tmp_path / "ca.pem"
    )
    with pytest.raises(NodeError, match=r"cannot use .*a\.pem.* for TLS"):
        server_context(settings)
