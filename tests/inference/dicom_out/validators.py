"""The validators: `dciodvfy` for every object, PixelMed's template rules for the structured report."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import pytest

PIXELMED = Path("/usr/share/java/pixelmed.jar")
LOGGING = Path("/usr/share/java/slf4j-api.jar")
TO_XML = "com.pixelmed.dicom.XMLRepresentationOfStructuredReportObjectFactory"
RULES = "DicomSRDescriptionsCompiled.xsl"

needs_dciodvfy = pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="needs dciodvfy (Debian dicom3tools)"
)
needs_template_rules = pytest.mark.skipif(
    not PIXELMED.is_file() or not shutil.which("java") or not shutil.which("xsltproc"),
    reason="needs PixelMed's rules (Debian libpixelmed-java, default-jre-headless, xsltproc)",
)


def iod_errors(path: Path) -> list[str]:
    """Return what `dciodvfy` calls an error."""
    ran = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace")
    errors = [line for line in (ran.stdout + ran.stderr).splitlines() if line.startswith("Error")]
    assert errors or ran.returncode == 0, ran.stderr
    return errors


def template_errors(path: Path) -> list[str]:
    """Return what PixelMed's rules for TID 1500 call an error, known false ones left out."""
    turned = subprocess.run(
        ["java", "-Djava.awt.headless=true", "-cp", f"{PIXELMED}:{LOGGING}", TO_XML, "toXML", str(path)],
        capture_output=True,
        check=True,
    )
    with tempfile.NamedTemporaryFile(suffix=".xml") as xml:
        xml.write(turned.stdout)
        xml.flush()
        deep = ["--maxdepth", "100000", "--maxvars", "1000000"]
        option = ["--stringparam", "optionEmbedMatchedLocationsInOutputWithElement", ""]
        command = ["xsltproc", *deep, *option, str(template_rules() / RULES), xml.name]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
    said = (ran.stdout + ran.stderr).splitlines()
    assert any("Root Template TID_1500" in line for line in said), said[:5]
    return [line for line in said if line.startswith("Error") and not is_known_to_be_false(line)]


def is_known_to_be_false(line: str) -> bool:
    """Say whether a rule complains of the whole-body group only because it is no region.

    The rules try a group without a region (TID 1501) as one with a region (TID 1411) as well. It is the first
    group of our report, so its position ends in `.1`, counted after language, observers and procedure.
    """
    first_group = re.search(r"within 1\.\d+\.1: ", line)
    is_region = any(f"[Row {row}] " in line for row in (5, 7, 10))
    return bool(first_group and is_region and "Template 1411" in line and "Missing conditional" in line)


@cache
def template_rules() -> Path:
    """Unpack the rules; libxslt takes no variable twice, and one stands twice with the same value."""
    folder = Path(tempfile.mkdtemp(prefix="template-rules-"))
    with zipfile.ZipFile(PIXELMED) as jar:
        for name in jar.namelist():
            if name.startswith("com/pixelmed/validate/") and name.endswith((".xsl", ".xml")):
                (folder / Path(name).name).write_bytes(jar.read(name))
    common = folder / "CommonDicomSRValidationRules.xsl"
    text = common.read_text()
    start = text.index(
        '<xsl:variable name="conceptCSDPreferred">', text.index('<xsl:variable name="locationdescription">')
    )
    end = text.index("</xsl:variable>", start) + len("</xsl:variable>")
    common.write_text(text[:start] + text[end:])
    return folder
