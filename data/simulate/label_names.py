"""What others call a label, and what it is here: TotalSegmentator's classes and the organs of ICRP 110."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from marrowmap.data.simulate.labels import Bone, Tissue

#: Bones that some maps keep as one: vertebrae by section from the top, halves by side (right first).
Group = tuple[Bone, ...]
Part = Literal["whole", "cortex", "marrow", "cavity"]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a label stands for.

    Attributes:
        tissue: Of soft parts; None for bone.
        bones: One bone, or those among which the label must be divided.
        part: Which part of the bones; `whole` gets a shell of cortex.
        is_filling: True for labels that only fill the body (trunk, fat, muscle): the rest lies above them.
    """

    tissue: Tissue | None = None
    bones: Group = ()
    part: Part = "whole"
    is_filling: bool = False


def _levels(first: Bone, last: Bone) -> Group:
    return tuple(bone for bone in Bone if first <= bone <= last)


_GROUPS: tuple[tuple[str, Group], ...] = (
    (r"cervical (spine|vertebra)", _levels(Bone.C1, Bone.C7)),
    (r"thoracic (spine|vertebra)", _levels(Bone.T1, Bone.T12)),
    (r"lumbar (spine|vertebra)", _levels(Bone.L1, Bone.L5)),
    (r"sacrum|vertebrae? s1|coccyx", (Bone.SACRUM,)),
    (r"\bhip\b|(?<!kidney right )(?<!kidney left )\bpelvis\b", (Bone.PELVIS_RIGHT, Bone.PELVIS_LEFT)),
    (r"femur|femora", (Bone.FEMUR_RIGHT, Bone.FEMUR_LEFT)),
    (r"humer", (Bone.HUMERUS_RIGHT, Bone.HUMERUS_LEFT)),
    (r"scapula", (Bone.SCAPULA_RIGHT, Bone.SCAPULA_LEFT)),
    (r"clavic", (Bone.CLAVICLE_RIGHT, Bone.CLAVICLE_LEFT)),
    (r"\bribs?\b", (Bone.RIBS,)),
    (r"sternum", (Bone.STERNUM,)),
    (r"mandible", (Bone.MANDIBLE,)),
    (r"skull|cranium", (Bone.SKULL,)),
    (r"ulna|radi(us|i)\b|wrist|hand bone|carpal|phalanges hand", (Bone.FOREARM,)),
)
#: The first that matches wins.
_TISSUES: tuple[tuple[str, Tissue], ...] = (
    (r"cartilage", Tissue.CARTILAGE),
    (r"dis[ck]s?\b", Tissue.DISC),
    (r"spinal canal|cerebrospinal", Tissue.CSF),
    (r"spinal cord", Tissue.CORD),
    (r"white matter", Tissue.WHITE_MATTER),
    (r"brain|pituitary", Tissue.GREY_MATTER),
    (r"kidney.*medulla", Tissue.RENAL_MEDULLA),
    (r"kidney.*pelvis|ureter|kidney cyst", Tissue.BLADDER),
    (r"kidney", Tissue.KIDNEY),
    (r"adrenal", Tissue.ADRENAL),
    (r"spleen", Tissue.SPLEEN),
    (r"gall ?bladder", Tissue.GALLBLADDER),
    (r"bladder wall", Tissue.MUSCLE),
    (r"urinary bladder|^bladder", Tissue.BLADDER),
    (r"liver", Tissue.LIVER),
    (r"stomach", Tissue.STOMACH),
    (r"(intestine|colon|bowel|rectum|duodenum).*content", Tissue.BOWEL_CONTENT),
    (r"intestine|colon|bowel|rectum|duodenum", Tissue.BOWEL_WALL),
    (r"pancreas", Tissue.PANCREAS),
    (r"prostate", Tissue.PROSTATE),
    (r"testis|testes", Tissue.TESTIS),
    (r"uterus", Tissue.UTERUS),
    (r"ovar", Tissue.OVARY),
    (r"lung", Tissue.LUNG),
    (r"blood|aorta|vena|\bvein|arter|brachiocephalic|subclavian|carotid|atrial appendage", Tissue.BLOOD),
    (r"heart content|heart (atrium|ventricle)", Tissue.BLOOD),
    (r"heart|myocard", Tissue.HEART),
    (r"trachea|bronch|\bair\b|nasal", Tissue.GAS),
    (r"o?esophagus", Tissue.MUSCLE),
    (r"thyroid", Tissue.THYROID),
    (r"salivary|parotid|submandibular", Tissue.SALIVARY_GLAND),
    (r"tongue|oral", Tissue.TONGUE),
    (r"tonsil|lymph", Tissue.LYMPH_NODE),
    (r"\beyes?\b|lens", Tissue.EYE),
    (r"breast.*adipose", Tissue.SUBCUTANEOUS_FAT),
    (r"breast", Tissue.BREAST),
    (r"thymus", Tissue.VISCERAL_FAT),
    (r"teeth|tibia|fibula|patella|ankle|foot|tarsal", Tissue.CORTICAL_BONE),
    (r"^skin", Tissue.SKIN),
    (r"subcutaneous|residual|\brst\b", Tissue.SUBCUTANEOUS_FAT),
    (r"torso fat|visceral|adipose|\bfat\b", Tissue.VISCERAL_FAT),
    (
        r"muscle|gluteus|autochthon|iliopsoas|quadriceps|thigh|sartorius|psoas|body|trunc|extremit",
        Tissue.MUSCLE,
    ),
)
_FILLING = r"body|trunc|extremit|subcutaneous|residual|torso fat|muscle|\brst\b"


def meaning_of(name: str) -> Meaning | None:
    """Return what a label's name means here, None if it is unknown.

    Args:
        name: As TotalSegmentator (`vertebrae_L5`, `hip_left`, `lung_upper_lobe_right`) or ICRP 110
            (`Thoracic spine, spongiosa`) writes it; case and punctuation do not matter.
    """
    words = re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()
    part = _part_of(words)
    level = re.search(r"vertebrae? ([ctl])(\d{1,2})\b", words)
    if level:
        bone = f"{level[1].upper()}{level[2]}"
        return Meaning(bones=(Bone[bone],), part=part) if bone in Bone.__members__ else None
    is_soft = re.search(r"cartilage|kidney|muscle|artery|vena|vein|blood", words)
    for pattern, bones in _GROUPS if not is_soft else ():
        if re.search(pattern, words):
            return Meaning(bones=_of_side(bones, words), part=part)
    for pattern, tissue in _TISSUES:
        if re.search(pattern, words):
            return Meaning(tissue=tissue, is_filling=bool(re.search(_FILLING, words)))
    return None


def _part_of(words: str) -> Part:
    if "cortical" in words:
        return "cortex"
    if "medullary" in words:
        return "cavity"
    return "marrow" if "spongiosa" in words else "whole"


def _of_side(bones: Group, words: str) -> Group:
    """Return the bone of the side that is named, or both."""
    if len(bones) != 2:
        return bones
    if re.search(r"\bright\b", words):
        return bones[:1]
    return bones[1:] if re.search(r"\bleft\b", words) else bones
