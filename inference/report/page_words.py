"""The report's values as the texts, bars and rows that the page prints.

Every public function takes a report and a language and returns plain texts, so that a page, a PDF or any
other print of the report says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from marrowmap.data.skeleton import Region
from marrowmap.inference.report.page_words_notices import COVERAGE_WORDS, note_lines, notices
from marrowmap.inference.report.page_words_rules import pairs, stage_card, stage_cards
from marrowmap.inference.report.words import (
    grade_words,
    key_words,
    number_words,
    pattern_words,
    region_words,
    sentence,
    sequence_words,
)
from marrowmap.inference.report.words_catalog import ENGLISH, Words

#: Rules and notices have files of their own; whoever prints a report finds all texts here.
__all__ = ["note_lines", "notices", "pairs", "stage_card", "stage_cards"]

Report = Mapping[str, Any]
Texts = dict[str, Any]

DASH = "\N{EN DASH}"

#: Shares of a region's marrow from where on it is drawn darker.
BAND_LIMITS = (0.01, 0.05, 0.20)


#: Texts whose places the page fills again after a reader's decision.
SHARE_NOTE = "{share} % of the marrow imaged"
VISIBLE_NOTE = "{active} active, {equivocal} equivocal"
GRADE_NOTE = "diffuse grade: {grade}"
PATTERN_LINE = "{pattern}; diffuse grade: {grade}"
#: Inputs of the rules that the page counts itself: which of its numbers each one is.
COUNT_INPUTS = {
    "focal_lesions": "sure",
    "possible_focal_lesions": "maybe",
    "large_lesions": "large",
    "vertebral_lesions": "spine_sure",
}


def key_figures(report: Report, words: Words = ENGLISH) -> list[Texts]:
    """Return the few numbers at the top of the page: key, label, value, unit and a note."""
    counts, burden, pattern = report["counts"], report["burden"], report["pattern"]
    fraction = burden["marrow_fraction"]
    adc = burden["adc_um2_per_s"]["median"]
    share = (
        words("marrow not measured")
        if fraction is None
        else words.fill(SHARE_NOTE, share=words.number(f"{100 * fraction:.2g}"))
    )
    visible = words.fill(VISIBLE_NOTE, active=counts["active"], equivocal=counts["equivocal"])
    adc_figure = (words("none"), "") if adc is None else (f"{adc:.0f}", "µm²/s")
    grade = words.fill(GRADE_NOTE, grade=grade_words(pattern["diffuse_grade"], words))
    volume = words.number(f"{burden['tumour_volume_ml']:.1f}")
    return [
        _figure("focal", words("Focal lesions"), counts["focal_5mm"], "", words("certain, 5 mm or more")),
        _figure("visible", words("Visible lesions"), counts["visible"], "", visible),
        _figure("volume", words("Tumour volume"), volume, "ml", share),
        _figure("adc", words("Median lesion ADC"), *adc_figure, words("all lesion tissue")),
        _figure("pattern", words("Pattern"), pattern_words(pattern["label"], words), "", grade),
    ]


def lesion_texts(lesion: Mapping[str, Any], words: Words = ENGLISH) -> Texts:
    """Return the cells of one lesion."""
    fat = lesion["fat_fraction"]
    adc = lesion["adc_um2_per_s"]
    diameter = f"{lesion['longest_diameter_mm']:.1f} ± {lesion['diameter_uncertainty_mm']:.1f}"
    reasons = [*lesion.get("reasons", ()), *lesion.get("descriptors", ())]
    texts: Texts = {
        "region": _place(lesion, words),
        "kind": words(lesion["kind"]),
        "is_plain": lesion["kind"] == "focal",
        "diameter": words.number(diameter),
        "perpendicular": words.number(f"{lesion['perpendicular_diameter_mm']:.1f}"),
        "volume": volume_words(lesion["volume_ml"], words),
        "adc": DASH if adc["median"] is None else f"{adc['median']:.0f}",
        "adc_range": ""
        if adc["p10"] is None
        else words.fill("{low} to {high}", low=f"{adc['p10']:.0f}", high=f"{adc['p90']:.0f}"),
        "fat": DASH if fat is None else f"{100 * fat:.0f} %",
        "probability": f"{100 * lesion['probability']:.0f} %",
        "certainty": words(lesion["certainty"]),
        "status": words(lesion["status"]),
        "benign": benign_words(lesion["suspected_benign"], words),
        "reasons": "; ".join(sentence(text, words) for text in reasons),
    }
    lines = (
        words.fill("Lesion {id}: {region}", id=lesion["id"], region=texts["region"]),
        f"{texts['diameter']} mm, {texts['volume']} ml",
        words.fill(
            "ADC {adc} µm²/s, probability {probability}", adc=texts["adc"], probability=texts["probability"]
        ),
    )
    texts["place"] = "\n".join(lines)
    state = filter(None, (texts["certainty"], texts["status"], texts["benign"]))
    texts["summary"] = f"{texts['place']}\n{', '.join(state)}"
    return texts


def benign_words(kind: str | None, words: Words = ENGLISH) -> str:
    """Return what a lesion may be instead; nothing where nothing benign is suspected."""
    return words(f"suspected {kind.replace('_', ' ')}") if kind else ""


def _place(lesion: Mapping[str, Any], words: Words) -> str:
    """Return the region of a lesion, with its vertebra where that is known."""
    region, level = region_words(lesion["region"], words), lesion.get("level")
    return f"{region}, {level}" if level else region


def region_rows(report: Report, words: Words = ENGLISH) -> list[Texts]:
    """Return the burden by region from head to thigh, with a bar of 0 to 100 by volume."""
    counts, burdens = report["counts"]["by_region"], report["burden"]["by_region"]
    volumes = {region: burdens.get(region.key, {}).get("tumour_volume_ml", 0.0) for region in Region}
    top = max(volumes.values(), default=0.0) or 1.0
    fractions = {region: burdens.get(region.key, {}).get("marrow_fraction") for region in Region}
    states = report["study"]["coverage"]
    return [
        {
            "key": region.key,
            "label": region_words(region.key, words),
            "coverage": words(COVERAGE_WORDS.get(states.get(region.key, ""), "")),
            "is_absent": states.get(region.key) == "absent",
            "count": counts.get(region.key, 0),
            "volume": volume_words(volumes[region], words),
            "fraction": _percent(fractions[region], words),
            "band": burden_band(volumes[region], fractions[region]),
            "bar": round(100 * volumes[region] / top, 1),
        }
        for region in Region
    ]


def burden_band(volume_ml: float, fraction: float | None) -> int:
    """Return how dark a region is drawn: 0 without lesions, then one more from each of `BAND_LIMITS` on."""
    if volume_ml <= 0.0:
        return 0
    return 1 + sum((fraction or 0.0) >= limit for limit in BAND_LIMITS)


def histogram_bars(report: Report) -> Texts | None:
    """Return the ADC histogram as bar heights of 0 to 100 with its range; None without one."""
    histogram = report["burden"]["adc_um2_per_s"].get("histogram")
    if not histogram or not any(histogram["counts"]):
        return None
    edges, counts = histogram["edges_um2_per_s"], histogram["counts"]
    top = max(counts)
    return {
        "bars": [round(100 * count / top, 1) for count in counts],
        "low": f"{edges[0]:.0f}",
        "middle": f"{(edges[0] + edges[-1]) / 2:.0f}",
        "high": f"{edges[-1]:.0f}",
    }


def evidence_lines(report: Report, words: Words = ENGLISH) -> list[Texts]:
    """Return the numbers behind the pattern: key, label and value."""
    kept = {key: value for key, value in report["pattern"]["evidence"].items() if value not in ([], {})}
    return [
        {"key": k, "label": key_words(k, words), "value": number_words(v, words)} for k, v in kept.items()
    ]


def pattern_line(report: Report, words: Words = ENGLISH) -> str:
    """Return pattern and grade in one line."""
    pattern, grade = report["pattern"]["label"], report["pattern"]["diffuse_grade"]
    return words.fill(PATTERN_LINE, pattern=pattern_words(pattern, words), grade=grade_words(grade, words))


def reader_line(report: Report, words: Words = ENGLISH) -> str:
    """Return what readers have decided so far."""
    revision = report.get("revision")
    if not revision:
        return words("not yet reviewed; preliminary")
    rejected, accepted = len(revision["rejected"]), len(revision["accepted"])
    return words.fill(
        "{rejected} lesions rejected, {accepted} accepted", rejected=rejected, accepted=accepted
    )


def sequence_list(report: Report, words: Words = ENGLISH) -> str:
    """Return the sequences found, in words."""
    return ", ".join(sequence_words(name, words) for name in report["study"]["sequences"])


def biopsy_lines(report: Report, words: Words = ENGLISH) -> list[str]:
    """Return one line for each lesion that a team may discuss for biopsy, best first."""
    return [biopsy_line(c["lesion_id"], c["reasons"], words) for c in report["biopsy_candidates"]]


def biopsy_line(lesion_id: int, reasons: Iterable[str], words: Words = ENGLISH) -> str:
    """Return why one lesion may be discussed for biopsy."""
    said = ", ".join(sentence(reason, words) for reason in reasons)
    return words.fill("Lesion {id}: {reasons}", id=lesion_id, reasons=said)


def _figure(key: str, label: str, value: object, unit: str, note: str) -> Texts:
    """Return one number at the top of the page."""
    return {"key": key, "label": label, "value": value, "unit": unit, "note": note}


def volume_words(volume_ml: float, words: Words = ENGLISH) -> str:
    """Return a volume in ml with the decimals that it deserves."""
    return words.number(f"{volume_ml:.2f}" if volume_ml < 10 else f"{volume_ml:.1f}")


def _percent(fraction: float | None, words: Words) -> str:
    """Return a fraction in percent, a dash when it is unknown."""
    return DASH if fraction is None else words.number(f"{100 * fraction:.1f} %")
