"""What headers alone warn of: contrast was given, the body part is not where marrow is staged."""

from __future__ import annotations

from collections.abc import Sequence as ListOf

from marrowmap.data.exam import ExamWarning, Sequence
from marrowmap.data.facts import facts_of, plain_text
from marrowmap.data.selection import Part

#: Body parts (DICOM's words) that hold too little red marrow, or the wrong organ, for what is measured here.
_OTHER_PARTS = {
    *(
        "ankle",
        "arm",
        "breast",
        "brain",
        "calf",
        "ear",
        "elbow",
        "extremity",
        "eye",
        "face",
        "finger",
        "foot",
    ),
    *("forearm", "hand", "head", "heart", "iac", "jaw", "knee", "kidney", "liver", "orbit", "pancreas"),
    *("penis", "pituitary", "prostate", "shoulder", "thumb", "tmj", "toe", "uterus", "wrist"),
}


def header_warnings(parts: ListOf[Part]) -> tuple[ExamWarning, ...]:
    """Return what the headers of a study warn of.

    Args:
        parts: All parts with their roles; contrast counts wherever it is named, the body part where used.
    """
    return (*_contrast(parts), *_body_part(parts))


def _contrast(parts: ListOf[Part]) -> list[ExamWarning]:
    """Return a warning where a series says that contrast was given."""
    after = [p for p in parts if p.role.sequence is Sequence.T1_CONTRAST or "after contrast" in p.role.reason]
    tagged = [p for p in parts if p.key is not None and facts_of(p.stacks[0], p.series).has_contrast]
    if not after and not tagged:
        return []
    numbers = sorted({p.series.number for p in (*after, *tagged)})
    text = (
        f"contrast was given (series {', '.join(map(str, numbers[:8]))}): T1 after contrast is kept apart; "
        "what was acquired after it, diffusion too, can look different"
    )
    return [ExamWarning(code="contrast_given", text=text)]


def _body_part(parts: ListOf[Part]) -> list[ExamWarning]:
    """Return a warning where every series used names a body part that is not spine, pelvis or whole body."""
    used = [p for p in parts if p.key is not None]
    named = {plain_text(str(p.stacks[0].dataset.get("BodyPartExamined") or "")) for p in used}
    if not named or not named <= _OTHER_PARTS:
        return []
    text = (
        f"the headers say {', '.join(sorted(named)).upper()}: not the spine, pelvis or whole body that "
        "counts, volumes and stages are meant for"
    )
    return [ExamWarning(code="wrong_body_part", text=text)]
