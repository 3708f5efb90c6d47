from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from marrowmap.inference.report.pictures import (
    CERTAIN,
    EQUIVOCAL,
    SET_ASIDE,
    ReportImages,
    ReportPictures,
    draw_pictures,
)
from marrowmap.inference.report.report_html import lesion_groups, render_html

Report = dict[str, Any]
PAGE_BYTES = 12_000_000


@pytest.fixture
def page(report: Report, pictures: ReportPictures) -> str:
    return render_html(report, pictures)


def element(page: str, name: str) -> str:
    found = re.search(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
    assert found
    return found[1]


def test_no_address_in_the_page_leaves_it(page: str) -> None:
    addresses = re.findall(r'\s(?:src|href|action|srcset|data)="([^"]*)"', page)
    assert len(addresses) > 5
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    assert not re.search(r"https?://|url\(|@import|fetch\(|<link|<iframe", page)


def test_the_policy_allows_the_own_script_and_style_only(page: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    directives = policy[1].replace("&#39;", "'")
    assert directives.startswith("default-src 'none'; ")
    assert "unsafe" not in directives
    for name in ("script", "style"):
        digest = hashlib.sha256(element(page, name).encode("utf-8")).digest()
        assert f"{name}-src 'sha256-{base64.b64encode(digest).decode()}'" in directives


def test_no_element_carries_its_own_style_or_handler(page: str) -> None:
    markup = page.replace(element(page, "script"), "").replace(element(page, "style"), "")
    assert not re.search(r"<[^>]+\s(?:style|on[a-z]+)=", markup)


def test_every_lesion_has_its_row_largest_first(page: str, report: Report) -> None:
    rows = [int(number) for number in re.findall(r'<tr id="lesion-(\d+)"', page)]
    assert rows == [1, 2, 3, 4]
    assert len(rows) == len(report["lesions"])
    assert "40.0 ± 2.5" in page
    assert "suspected haemangioma" in page


def test_the_page_says_research_use_and_how_well_humans_agree(page: str) -> None:
    assert "Research use only" in page
    assert "radiologist against radiologist on real myeloma diffusion: Dice 0.32" in page
    assert "table-header-group" in element(page, "style")  # the banner is printed on every sheet


def test_what_is_missing_stands_at_the_top(page: str) -> None:
    top = page[: page.index('id="images"')]
    for text in ("fat fraction (Dixon)", "humeri not imaged", "femora imaged in part", "A gap of 4 mm"):
        assert text in top


def test_an_alert_comes_before_every_other_notice(page: str) -> None:
    assert page.index("possible cord compression") < page.index("Missing sequences")


def test_every_rule_has_a_card_with_its_source(page: str, report: Report) -> None:
    assert len(re.findall(r'<article class="card ', page)) == len(report["staging"])
    assert "doi:10.1016/j.ejca.2005.11.037" in page
    assert "84 %" in page


def test_an_unknown_rule_says_what_is_possible_and_what_is_missing(page: str) -> None:
    card = next(part for part in page.split("<article") if ">ISS</h3>" in part)
    assert 'class="value">unknown' in card
    assert "Still possible: I, II, III" in card
    assert "creatinine, beta2 microglobulin" in card


def test_nothing_found_is_a_normal_page_that_excludes_nothing(
    clean_report: Report, clean_images: ReportImages
) -> None:
    page = render_html(clean_report, draw_pictures(clean_images, {}))
    assert "No marrow lesion was found on this exam; this does not exclude myeloma." in page
    assert '<tr id="lesion-' not in page


def test_a_value_with_markup_is_shown_and_not_run(report: Report, pictures: ReportPictures) -> None:
    report["alerts"][0]["text"] = "<script>alert(1)</script>"
    page = render_html(report, pictures)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_lesion_without_voxels_is_listed_without_a_jump(report: Report, pictures: ReportPictures) -> None:
    report["lesions"].append(report["lesions"][0] | {"id": 9})
    page = render_html(report, pictures)
    assert '<tr id="lesion-9"' in page
    assert 'aria-label="Show lesion 9' not in page


def test_every_control_has_a_name(page: str) -> None:
    for tag in re.findall(r"<input[^>]*>", page):
        position = page.index(tag)
        before = page[page.rindex("<label", 0, position) : position]
        assert "</label>" not in before, tag
    for button in re.findall(r"<button[^>]*>([^<]*)</button>", page):
        assert button.strip()


def test_the_page_is_small_enough_to_mail(page: str) -> None:
    assert len(page.encode("utf-8")) < PAGE_BYTES


def test_the_page_names_no_folder_of_this_machine(page: str) -> None:
    assert str(Path.home()) not in element(page, "script")


def test_what_is_benign_or_rejected_has_a_colour_of_its_own(report: Report) -> None:
    report["lesions"][1]["certainty"] = "rejected"
    assert lesion_groups(report) == {1: CERTAIN, 2: SET_ASIDE, 3: EQUIVOCAL, 4: SET_ASIDE}
