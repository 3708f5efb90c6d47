"""Published figures that simulated exams are held against, with their sources.

Signals are relative to muscle. A figure with a standard deviation passes when the simulated mean lies within
one of it. A figure without one is a model's or a single study's mean: 25 % either way is allowed, and said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Quantity = Literal["adc_um2_per_s", "fat_fraction", "low_b", "high_b", "t1", "stir"]

QUANTITY_WORDS: dict[str, str] = {
    "adc_um2_per_s": "ADC, um2/s",
    "fat_fraction": "fat fraction",
    "low_b": "b50 / muscle",
    "high_b": "b900 / muscle",
    "t1": "T1 / muscle",
    "stir": "STIR / muscle",
}
#: Allowed around a figure that was published without its spread.
TOLERANCE = 0.25


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published figure.

    Attributes:
        name: Words for the page.
        kind: First word or words of the regions of interest (`realism_measure.Measured.kind`).
        quantity: What was measured.
        mean: As published.
        sd: As published, None without.
        source: Where.
        patterns: Exams that count; empty for all.
        grades: Diffuse grades that count; empty for all.
        highest_only: Only the highest value of each exam counts.
        why: What to say when the figure is missed.
    """

    name: str
    kind: str
    quantity: Quantity
    mean: float
    sd: float | None
    source: str
    patterns: tuple[str, ...] = ()
    grades: tuple[str, ...] = ()
    highest_only: bool = False
    why: str = ""

    @property
    def allowed(self) -> float:
        """How far the simulated mean may lie from the published one."""
        return self.sd if self.sd is not None else TOLERANCE * self.mean


_COLOMBO = "Colombo 2021, PMC8161193: 100 healthy adults, whole body, 1.5 T"
_KOUTOULIDIS = "Koutoulidis, Radiology 2017, PubMed 27610934"
_MESSIOU = "Messiou, Eur Radiol 2011, PubMed 21472473"
_PARK = "Park and Huh: metastasis against red marrow"
_MODEL = "model of spin echo TR 600/TE 10 and STIR-EPI TE 75 (clinical rules, 3.3)"
_SMALL = (
    "the published figure is a pure tissue's; in images, lesions of 10 to 20 mm lose signal to 5 mm slices, "
    "to marrow left between cells, and where diffusion lies a little beside the truth"
)
_OTHER_T2 = (
    "published on fat-suppressed T2 of other timing; STIR weighs T1 and T2 together "
    "and lifts water-rich marrow"
)
_ACTIVE = (
    "the published mean takes the lesion of the highest ADC, treated ones and necrosis included; simulated "
    "lesions before treatment keep to the viable band of 600 to 1,000 um2/s of the same sources"
)

PUBLISHED: tuple[Published, ...] = (
    Published(
        name="normal marrow, spine and pelvis",
        kind="marrow",
        quantity="adc_um2_per_s",
        mean=422,
        sd=67,
        source=_COLOMBO,
        patterns=("normal",),
    ),
    Published(
        name="normal marrow, spine and pelvis",
        kind="marrow",
        quantity="fat_fraction",
        mean=0.656,
        sd=0.072,
        source=_COLOMBO,
        patterns=("normal",),
        why="fat fraction follows age; the published people and the simulated ones differ in it",
    ),
    Published(
        name="normal marrow, spine and pelvis",
        kind="marrow",
        quantity="low_b",
        mean=1.7,
        sd=0.5,
        source=_COLOMBO,
        patterns=("normal",),
    ),
    Published(
        name="normal marrow, spine and pelvis",
        kind="marrow",
        quantity="high_b",
        mean=3.2,
        sd=0.9,
        source=_COLOMBO,
        patterns=("normal",),
    ),
    Published(
        name="normal marrow in myeloma",
        kind="marrow",
        quantity="adc_um2_per_s",
        mean=360,
        sd=110,
        source=_KOUTOULIDIS,
        patterns=("normal", "focal"),
        why="measured in the lumbar spine alone, "
        "of older people whose marrow is fattier; the simulated mean is of all spine and pelvis",
    ),
    Published(
        name="diffuse disease",
        kind="marrow",
        quantity="adc_um2_per_s",
        mean=770,
        sd=135,
        source=_KOUTOULIDIS,
        patterns=("diffuse",),
        grades=("moderate", "severe"),
    ),
    Published(
        name="diffuse disease",
        kind="marrow",
        quantity="high_b",
        mean=5.6,
        sd=None,
        source=_MODEL,
        patterns=("diffuse",),
        grades=("moderate", "severe"),
        why=_SMALL,
    ),
    Published(
        name="diffuse disease",
        kind="marrow",
        quantity="t1",
        mean=1.13,
        sd=None,
        source=_MODEL,
        patterns=("diffuse",),
        grades=("moderate", "severe"),
    ),
    Published(
        name="focal lesion of the highest ADC",
        kind="lesion: ",
        quantity="adc_um2_per_s",
        mean=1046,
        sd=232,
        source=_KOUTOULIDIS,
        patterns=("focal", "mixed"),
        highest_only=True,
        why=_ACTIVE,
    ),
    Published(
        name="focal lesions",
        kind="lesion: ",
        quantity="adc_um2_per_s",
        mean=1054,
        sd=456,
        source=_MESSIOU,
        patterns=("focal", "mixed"),
    ),
    Published(
        name="lesions before treatment",
        kind="lesion: active",
        quantity="adc_um2_per_s",
        mean=630,
        sd=240,
        source="PubMed 26182979 and ISMRM 2013 #3448: responders before treatment",
    ),
    Published(
        name="treated lesions",
        kind="lesion: treated",
        quantity="adc_um2_per_s",
        mean=1600,
        sd=None,
        source="PMC5176005: treated above 1,400 um2/s",
    ),
    Published(
        name="active lesions",
        kind="lesion: active",
        quantity="high_b",
        mean=5.9,
        sd=None,
        source=_MODEL,
        why=_SMALL,
    ),
    Published(name="active lesions", kind="lesion: active", quantity="t1", mean=1.075, sd=None, source=_PARK),
    Published(
        name="active lesions",
        kind="lesion: active",
        quantity="stir",
        mean=2.09,
        sd=None,
        source=_PARK,
        why=_OTHER_T2,
    ),
    Published(
        name="red marrow patches",
        kind="mimic: red_marrow_patch",
        quantity="t1",
        mean=1.227,
        sd=None,
        source=_PARK,
    ),
    Published(
        name="red marrow patches",
        kind="mimic: red_marrow_patch",
        quantity="stir",
        mean=1.28,
        sd=None,
        source=_PARK,
        why=_OTHER_T2,
    ),
    Published(
        name="fatty scars",
        kind="mimic: fatty_scar",
        quantity="high_b",
        mean=1.4,
        sd=None,
        source=_MODEL,
        why="the model's scar keeps more water than a scar of 82 to 95 % fat",
    ),
    Published(
        name="atypical haemangiomas",
        kind="mimic: atypical_haemangioma",
        quantity="high_b",
        mean=3.2,
        sd=None,
        source=_MODEL,
        why=_SMALL,
    ),
    Published(
        name="spleen",
        kind="spleen",
        quantity="high_b",
        mean=5.5,
        sd=None,
        source=_MODEL,
        why="muscle lies in the noise at b900, which lifts it and lowers every ratio to it",
    ),
    Published(
        name="cerebrospinal fluid",
        kind="cerebrospinal fluid",
        quantity="high_b",
        mean=2.5,
        sd=None,
        source=_MODEL,
        why="a canal of 8 to 14 mm is partly cord and roots in every voxel",
    ),
)

#: Volumes in ml by sex, mean and standard deviation: organ labels of 362 studies (autopet3_organ_labels).
ORGANS_ML: dict[str, tuple[tuple[str, ...], dict[str, tuple[float, float]]]] = {
    "liver": (("liver",), {"F": (1504, 412), "M": (1721, 406)}),
    "spleen": (("spleen",), {"F": (223, 101), "M": (255, 159)}),
    "kidneys": (("kidney", "renal_medulla"), {"F": (287, 62), "M": (341, 78)}),
    "lungs": (("lung",), {"F": (2535, 590), "M": (3393, 760)}),
    "brain": (("grey_matter", "white_matter"), {"F": (1191, 105), "M": (1321, 141)}),
    "bladder": (("bladder",), {"F": (124, 65), "M": (142, 83)}),
    "prostate": (("prostate", "peripheral_zone"), {"M": (26, 12)}),
}
#: Whole bones in ml, cortex and marrow: one woman and one man (ICRP 110 reference voxel phantoms).
BONES_ML: dict[str, tuple[tuple[int, int], dict[str, float]]] = {
    "cervical spine": ((11, 17), {"F": 101, "M": 124}),
    "thoracic spine": ((21, 32), {"F": 339, "M": 461}),
    "lumbar spine": ((41, 45), {"F": 304, "M": 369}),
    "sacrum": ((51, 51), {"F": 134, "M": 225}),
    "pelvis": ((52, 53), {"F": 537, "M": 814}),
    "ribs": ((61, 61), {"F": 322, "M": 636}),
    "sternum": ((62, 62), {"F": 45, "M": 59}),
    "clavicles": ((63, 64), {"F": 51, "M": 71}),
    "scapulae": ((65, 66), {"F": 149, "M": 278}),
    "cranium": ((1, 1), {"F": 545, "M": 683}),
}
#: People differ: 4.5 % in size and 4 % from bone to bone make about 30 % of volume at two deviations.
BONE_TOLERANCE = 0.30
#: What is known of missed volumes; the anatomy is the place to correct them.
ORGAN_WHY = {
    "brain": "grey and white matter alone are counted, and the skull's inner table takes a voxel all around",
    "kidneys": "sinus fat and vessels are not counted, in the labels they are",
    "lungs": "the simulated chest is that of quiet breathing, the labels are of CT at breath-hold",
    "bladder": "the start is one man's bladder of 240 ml, the labels are of people who had emptied theirs",
}
OTHER_WHY = "organs are laid out by one man's shapes and give way to their neighbours; volume is not fitted"
BONE_WHY = (
    "bones are myo-sim's surfaces scaled by landmarks; their volume is not fitted, and not settled why less"
)
