"""How red marrow is shared out over the adult skeleton: what an exam that ends early has not seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from marrowmap.data.skeleton import Region

#: Per cent of the body's red marrow, adult. Source: Cristy, Phys Med Biol 1981;26:389, as kept by ICRP
#: Publications 70 and 89. The mandible stands with the skull, clavicles and scapulae with the ribs.
#: Spine, sacrum and pelvis add up to 60 %; reviews of axial MRI print about 90 % for them, which holds for
#: the marrow in which lesions are usually found, not for all red marrow.
RED_MARROW_PERCENT: Mapping[Region, float] = {
    Region.SKULL: 8.4,
    Region.CERVICAL_SPINE: 3.9,
    Region.THORACIC_SPINE: 16.1,
    Region.LUMBAR_SPINE: 12.3,
    Region.SACRUM_PELVIS: 27.4,
    Region.THORAX: 22.8,
    Region.HUMERI: 2.3,
    Region.FEMORA: 6.7,
}
#: A region that was imaged in part counts half: how much of it is missing is not measured.
SEEN_SHARE = {"complete": 1.0, "partial": 0.5, "absent": 0.0}


def red_marrow_share(regions: Collection[Region]) -> float:
    """Return the part of the body's red marrow that some regions hold, in [0, 1]."""
    return sum(RED_MARROW_PERCENT[region] for region in set(regions)) / sum(RED_MARROW_PERCENT.values())


def red_marrow_seen(coverage: Mapping[str, str]) -> float:
    """Return the part of the body's red marrow that was imaged, in [0, 1].

    Args:
        coverage: `complete`, `partial` or `absent` by region key; a region not named was not imaged.
            Humeri and femora end early by protocol: their red marrow lies in the upper part.
    """
    seen = sum(
        percent * SEEN_SHARE[coverage.get(region.key, "absent")]
        for region, percent in RED_MARROW_PERCENT.items()
    )
    return seen / sum(RED_MARROW_PERCENT.values())
