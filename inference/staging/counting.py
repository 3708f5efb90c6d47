"""Counting focal lesions as the rules mean it: from 5 mm, in bone, sure and possible apart."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from marrowmap.data.errors import SettingsError
from marrowmap.data.skeleton import Region
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings
from marrowmap.inference.staging.tri import ROUNDING, Claim

SPINE = (Region.CERVICAL_SPINE, Region.THORACIC_SPINE, Region.LUMBAR_SPINE)
SPINE_AND_PELVIS = (*SPINE, Region.SACRUM_PELVIS)
TRUNK = (Region.SKULL, *SPINE_AND_PELVIS, Region.THORAX)
#: Whole-body exams end at mid-thigh and cut the arms: of these, a part is enough.
LIMBS = (Region.HUMERI, Region.FEMORA)


@dataclass(frozen=True, kw_only=True)
class CountingSettings:
    """What counts as a focal lesion.

    Attributes:
        diameter_mm: Least diameter of a focal lesion.
        is_equal_counted: Papers print both "> 5 mm" (Dimopoulos, J Clin Oncol 2015;33:657) and ">= 5 mm"
            (Rajkumar, Lancet Oncol 2014;15:e538); True counts a lesion of exactly this diameter.
        micronodules: From so many visible nodules below that diameter the marrow is micronodular. No
            paper gives a number; this one is ours.
    """

    diameter_mm: float = 5.0
    is_equal_counted: bool = True
    micronodules: int = 10

    def __post_init__(self) -> None:
        """Refuse settings that count nothing or everything.

        Raises:
            SettingsError: If the diameter is not above 0 mm, or fewer than 2 nodules are asked for.
        """
        if self.diameter_mm <= 0.0 or self.micronodules < 2:
            raise SettingsError(
                f"need diameter_mm above 0 and micronodules of 2 or more, found {self.diameter_mm} "
                f"and {self.micronodules}"
            )

    @property
    def convention(self) -> str:
        """How a focal lesion is defined here, as printed."""
        return f"{'>=' if self.is_equal_counted else '>'} {self.diameter_mm:g} mm"

    def is_focal(self, diameter_mm: float) -> bool:
        """Return whether a lesion of this diameter is counted."""
        rounding = ROUNDING if self.is_equal_counted else -ROUNDING
        return diameter_mm >= self.diameter_mm - rounding


COUNTING = CountingSettings()


@dataclass(frozen=True, kw_only=True)
class FocalCount:
    """How many focal lesions.

    Attributes:
        sure: Certain lesions whose measured diameter counts.
        maybe: Lesions that nobody rejected and that count within the uncertainty of their diameter,
            sure ones included.
        is_open: Part of the skeleton was not imaged: more lesions may lie there.
    """

    sure: int
    maybe: int
    is_open: bool

    def possible(self, ceiling: int) -> range:
        """Return every number that the sure count may turn out to be.

        Args:
            ceiling: A number from which on the rule gives one answer.
        """
        last = max(self.sure, ceiling) if self.is_open else self.sure
        return range(self.sure, last + 1)


def bone_lesions(
    imaging: ImagingFindings, regions: Collection[Region] | None = None
) -> tuple[FocalLesion, ...]:
    """Return the lesions of bone that no reader rejected, of some regions or of all."""
    return tuple(
        lesion
        for lesion in imaging.lesions
        if lesion.certainty != "rejected"
        and lesion.kind != "extramedullary"
        and (regions is None or lesion.region in regions)
    )


def count_focal(
    imaging: ImagingFindings,
    settings: CountingSettings = COUNTING,
    *,
    regions: Collection[Region] | None = None,
) -> FocalCount:
    """Return how many focal lesions there are, in some regions or in all."""
    lesions = bone_lesions(imaging, regions)
    return FocalCount(
        sure=sum(is_sure(lesion, settings) for lesion in lesions),
        maybe=sum(may_be_focal(lesion, settings) for lesion in lesions),
        is_open=bool(coverage_gaps(imaging, regions)),
    )


def is_sure(lesion: FocalLesion, settings: CountingSettings = COUNTING) -> bool:
    """Return whether a lesion is certain and its measured diameter counts."""
    return lesion.certainty == "certain" and settings.is_focal(lesion.diameter_mm)


def may_be_focal(lesion: FocalLesion, settings: CountingSettings = COUNTING) -> bool:
    """Return whether a lesion counts if it is real and as large as its uncertainty allows."""
    return lesion.certainty != "rejected" and settings.is_focal(lesion.diameter_mm + lesion.uncertainty_mm)


def coverage_gaps(imaging: ImagingFindings, regions: Collection[Region] | None = None) -> tuple[Region, ...]:
    """Return the regions that were not imaged well enough to say that nothing is there.

    Of the limbs a part is enough; a coverage that nobody stated is taken as whole, with a warning.
    """
    if imaging.coverage is None:
        return ()
    wanted = Region if regions is None else regions
    bad = {region: ("absent",) if region in LIMBS else ("partial", "absent") for region in wanted}
    return tuple(region for region in wanted if imaging.coverage.get(region, "absent") in bad[region])


def is_micronodular(imaging: ImagingFindings, settings: CountingSettings = COUNTING) -> bool:
    """Return whether the marrow is micronodular: as described, or by the number of small nodules."""
    if imaging.is_micronodular is not None:
        return imaging.is_micronodular
    small = [lesion for lesion in bone_lesions(imaging) if not settings.is_focal(lesion.diameter_mm)]
    return len(small) >= settings.micronodules


def extramedullary(imaging: ImagingFindings) -> Claim:
    """Return whether disease away from bone was seen; that it was not seen does not exclude it."""
    seen = {lesion.certainty for lesion in imaging.lesions if lesion.kind == "extramedullary"}
    if "certain" in seen or imaging.extramedullary_disease:
        return True
    return imaging.extramedullary_disease


def counting_warnings(
    imaging: ImagingFindings,
    settings: CountingSettings = COUNTING,
    *,
    regions: Collection[Region] | None = None,
) -> tuple[str, ...]:
    """Return what a reader must know of a count: doubt about lesions, diameters and coverage."""
    lesions = bone_lesions(imaging, regions)
    count = count_focal(imaging, settings, regions=regions)
    near = sum(
        is_sure(lesion, settings) and not settings.is_focal(lesion.diameter_mm - lesion.uncertainty_mm)
        for lesion in lesions
    )
    texts = []
    if count.maybe > count.sure:
        more = count.maybe - count.sure
        texts.append(f"{more} more may be focal lesions: equivocal, or near {settings.diameter_mm:g} mm")
    if near:
        texts.append(f"{near} of the {count.sure} counted may be smaller than {settings.diameter_mm:g} mm")
    gaps = coverage_gaps(imaging, regions)
    if gaps:
        names = "; ".join(region.label for region in gaps)
        texts.append(f"not imaged as a whole: {names}; more lesions may lie there")
    if imaging.coverage is None:
        texts.append("coverage was not stated and is taken as whole")
    return tuple(texts)
