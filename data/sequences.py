"""Stacks -> roles: what a series shows, from tags first and words last, each with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from marrowmap.data import sequence_words as words
from marrowmap.data.b_values import b_value_in_text
from marrowmap.data.exam import Sequence
from marrowmap.data.facts import Facts

#: A station of fewer slices is a reference image, not anatomy.
MINIMUM_SLICES = 3
#: Fat and water turn against each other by this many Hz per tesla.
_FAT_SHIFT_HZ_PER_T = 149.0


@dataclass(frozen=True, kw_only=True)
class Role:
    """What a stack is taken for.

    Attributes:
        sequence: The sequence; None for diffusion (then `b_value_s_per_mm2` is set) and for what is left out.
        b_value_s_per_mm2: b of a diffusion stack, else None.
        reason: Why, in words for the report.
    """

    sequence: Sequence | None = None
    b_value_s_per_mm2: float | None = None
    reason: str

    @property
    def is_used(self) -> bool:
        """False for what is left out."""
        return self.sequence is not None or self.b_value_s_per_mm2 is not None


def decide_role(facts: Facts) -> Role:
    """Return what a stack is taken for, with the reason.

    Args:
        facts: What its headers say.

    Returns:
        A role; `is_used` is False for localizers, phase images, projections, calculated b-values, maps and
        whatever nothing identifies.
    """
    rules: tuple[Callable[[Facts], Role | None], ...] = (
        _refuse_by_kind,
        _adc,
        _diffusion,
        _dixon,
        _refuse_by_contrast,
        _inversion,
        _weighting,
        _by_words,
    )
    for rule in rules:
        role = rule(facts)
        if role is not None:
            return role
    return Role(reason="neither tags nor the description say what it shows")


def is_localizer(text: str) -> bool:
    """Say whether a plain description names a localizer."""
    return bool(words.LOCALIZER.search(text))


def _refuse_by_kind(facts: Facts) -> Role | None:
    """Leave out what is no plain image of the body."""
    kinds = facts.image_type
    if "LOCALIZER" in kinds or is_localizer(facts.text):
        return Role(reason="a localizer")
    if facts.orientations > 2:
        return Role(reason=f"a localizer: {facts.orientations} orientations in one series")
    if facts.component != "magnitude":
        return Role(reason=f"a {facts.component} image")
    if kinds & {"MIP", "MNIP", "PROJECTION IMAGE", "MIN_IP"} or words.PROJECTION.search(facts.text):
        return Role(reason="a projection or reformat (MIP, MPR)")
    if kinds & {"SCREEN SAVE", "SCREENSHOT"}:
        return Role(reason="a screenshot")
    if words.CALCULATED.search(facts.text) or kinds & {"CALC_BVALUE", "CALC_BVAL", "CALCULATED_BVAL"}:
        return Role(reason="a calculated b-value, not a measured one")
    derived = kinds & {
        "FA",
        "COLFA",
        "TENSOR",
        "TENSOR_B0",
        "EXP",
        "T2_STAR",
        "R2_STAR",
        "T2STAR",
        "R2STAR",
        "B0",
    }
    if derived or words.MAP.search(facts.text):
        return Role(reason=f"a derived map ({', '.join(sorted(derived)) or 'by its description'})")
    if facts.slices < MINIMUM_SLICES:
        return Role(reason=f"only {facts.slices} slice{'s' if facts.slices > 1 else ''}")
    return None


def _adc(facts: Facts) -> Role | None:
    """Recognise ADC before diffusion: scanners leave a b-value in its tags."""
    if words.EXPONENTIAL.search(facts.text) and "ADC" not in facts.image_type:
        return Role(reason="an exponential ADC image")
    if "ADC" in facts.image_type:
        return Role(sequence=Sequence.ADC, reason="Image Type says ADC")
    if words.ADC.search(facts.text) and ("DERIVED" in facts.image_type or not facts.b_value_s_per_mm2):
        return Role(sequence=Sequence.ADC, reason="the description says ADC")
    return None


def _diffusion(facts: Facts) -> Role | None:
    """Recognise diffusion by its b-value."""
    b_value = facts.b_value_s_per_mm2
    if facts.is_diffusion_series:
        if b_value is not None:
            return Role(b_value_s_per_mm2=b_value, reason=f"b = {b_value:g} s/mm2 ({facts.b_source})")
        in_text = b_value_in_text(facts.text)
        if in_text is not None:
            return Role(b_value_s_per_mm2=in_text, reason=f"b = {in_text:g} s/mm2 (description)")
        return Role(reason="diffusion without a b-value in any tag or in its description")
    if "EP" in facts.scanning or words.DIFFUSION.search(facts.text):
        in_text = b_value_in_text(facts.text) if words.DIFFUSION.search(facts.text) else None
        if in_text is not None:
            return Role(b_value_s_per_mm2=in_text, reason=f"b = {in_text:g} s/mm2 (description only)")
        if "EP" in facts.scanning:
            return Role(reason="echo-planar without a b-value")
    return None


def _dixon_kind(facts: Facts) -> tuple[str, str]:
    """Return water, fat, in, out or fraction, and where it was found; empty where it is no Dixon image."""
    if facts.dixon_kind.upper() in words.DIXON_TOKENS:
        return words.DIXON_TOKENS[facts.dixon_kind.upper()], "Philips private tag"
    for token in sorted(facts.image_type):
        if token in words.DIXON_TOKENS:
            return words.DIXON_TOKENS[token], "Image Type"
    prefix = words.GE_PREFIX.match(facts.text)
    if prefix:
        return {"inphase": "in", "outphase": "out"}.get(prefix.group(1), prefix.group(1)), "description"
    if "DIXON" in facts.image_type or words.DIXON.search(facts.text):
        for kind, pattern in words.DIXON_WORDS:
            if pattern.search(facts.text):
                return kind, "description"
    return _two_echoes(facts)


def _two_echoes(facts: Facts) -> tuple[str, str]:
    """Return in or out for one echo of a dual-echo gradient-echo series, by echo time and field strength."""
    said = any(pattern.search(facts.text) for kind, pattern in words.DIXON_WORDS if kind in ("in", "out"))
    if facts.echoes < 2 or "GR" not in facts.scanning or not said or not facts.field_strength_t:
        return "", ""
    turns = facts.echo_time_ms / 1000 * _FAT_SHIFT_HZ_PER_T * facts.field_strength_t
    off = abs(turns - round(turns))
    return ("in", "echo time") if off < 0.2 else ("out", "echo time") if off > 0.3 else ("", "")


def _dixon(facts: Facts) -> Role | None:
    """Recognise the images of a Dixon acquisition, T1- or T2-weighted."""
    kind, source = _dixon_kind(facts)
    if not kind:
        return None
    if facts.echo_time_ms >= 60 and facts.repetition_time_ms >= 1500 and kind != "fraction":
        by_kind = {"water": Sequence.STIR, "in": Sequence.T2}
        if kind in by_kind:
            return Role(sequence=by_kind[kind], reason=f"{kind} image of a T2-weighted Dixon ({source})")
        return Role(reason=f"{kind} image of a T2-weighted Dixon")
    if _says_contrast(facts):
        if kind == "water":
            return Role(sequence=Sequence.T1_CONTRAST, reason=f"Dixon water after contrast ({source})")
        return Role(reason=f"Dixon {kind} after contrast")
    return Role(sequence=words.DIXON_SEQUENCES[kind], reason=f"Dixon {kind} ({source})")


def _refuse_by_contrast(facts: Facts) -> Role | None:
    """Leave out contrasts in which marrow is not known to the product."""
    if facts.inversion_time_ms > 1500 or ("flair" in facts.text and "t1" not in facts.text):
        return Role(reason="a FLAIR image")
    if words.BALANCED.search(facts.text) or "tfi" in facts.sequence_name:
        return Role(reason="a balanced steady-state image")
    return None


def _inversion(facts: Facts) -> Role | None:
    """Recognise STIR: a short inversion time in an inversion recovery."""
    said = bool(words.STIR.search(facts.text))
    is_inversion = "IR" in facts.scanning or "tir" in facts.sequence_name or said
    if is_inversion and 80 <= facts.inversion_time_ms <= 350:
        return Role(sequence=Sequence.STIR, reason=f"inversion recovery, TI {facts.inversion_time_ms:.0f} ms")
    if said:
        return Role(sequence=Sequence.STIR, reason="the description says STIR")
    return None


def _says_contrast(facts: Facts) -> bool:
    """Say whether tag or description speak of a contrast agent."""
    said = words.CONTRAST.search(facts.text) and not words.NO_CONTRAST.search(facts.text)
    return facts.has_contrast or bool(said)


def _is_fat_suppressed(facts: Facts) -> bool:
    """Say whether fat is suppressed, by option or words."""
    return bool(facts.options & {"FS", "SFS", "SPIR", "SPAIR"}) or bool(
        words.FAT_SUPPRESSED.search(facts.text)
    )


def _weighting(facts: Facts) -> Role | None:
    """Recognise T1 and T2 by repetition and echo time."""
    tr, te = facts.repetition_time_ms, facts.echo_time_ms
    if not tr or not te:
        return None
    times = f"TR {tr:.0f} ms, TE {te:.1f} ms"
    is_gradient = "GR" in facts.scanning and "SE" not in facts.scanning
    if (is_gradient and te <= 8 and tr <= 400) or (not is_gradient and te <= 35 and tr <= 1600):
        return _t1(facts, times)
    if not is_gradient and te >= 55 and tr >= 1500:
        return _t2(facts, times)
    return None


def _t1(facts: Facts, why: str) -> Role:
    """Return the role of a T1-weighted image."""
    if _says_contrast(facts):
        return Role(sequence=Sequence.T1_CONTRAST, reason=f"T1-weighted after contrast ({why})")
    if _is_fat_suppressed(facts):
        return Role(reason=f"T1-weighted with fat suppression: marrow fat cannot be seen ({why})")
    return Role(sequence=Sequence.T1, reason=f"T1-weighted ({why})")


def _t2(facts: Facts, why: str) -> Role:
    """Return the role of a T2-weighted image."""
    if _is_fat_suppressed(facts):
        return Role(sequence=Sequence.STIR, reason=f"fat-suppressed T2-weighted ({why})")
    return Role(sequence=Sequence.T2, reason=f"T2-weighted ({why})")


def _by_words(facts: Facts) -> Role | None:
    """Recognise T1 and T2 by the description, the last resort."""
    is_t1, is_t2 = bool(words.T1.search(facts.text)), bool(words.T2.search(facts.text))
    if is_t1 and not is_t2:
        return _t1(facts, "description only")
    if is_t2 and not is_t1:
        return _t2(facts, "description only")
    return None
