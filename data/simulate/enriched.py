"""Exams to learn from: like those of a clinic, but with far more lesions and look-alikes in each.

Drawn as in a clinic, an exam has two lesions of 10 mm or more on average and half of the exams have none,
while most of the time of an exam goes into its body and its scan. A network learns lesions from lesions, so
a training exam mostly carries twenty or more. What is normal, diffuse or a look-alike keeps a share: it
teaches what is none. Validation and test exams are drawn as in a clinic.
"""

from __future__ import annotations

import numpy as np

from marrowmap.data.simulate.disease_settings import DiseaseSettings
from marrowmap.data.simulate.exam import SimulatedExam, SimulationSettings, simulate_exam
from marrowmap.data.simulate.truth import Pattern

PATTERN_SHARE: dict[Pattern, float] = {
    "focal": 0.62,
    "mixed": 0.20,
    "diffuse": 0.08,
    "normal": 0.06,
    "micronodular": 0.04,
}
#: Keeps this stream of random numbers apart from those of the exam itself.
_STREAM = 0x6D61
_DISEASE = DiseaseSettings(
    log_sigma=0.55,
    focal_count=(10, 60),
    mimics_mean=5.0,
    breach_share=0.35,
    paramedullary_share=0.5,
    epidural_share=0.10,
    extramedullary_share=0.20,
)
#: Share of exams whose contrasts leave physics, and how far at most: other scanners will, too.
_STRAYED_SHARE, _MOST_WILDNESS = 0.3, 0.4


def enriched_recipe(seed: int) -> tuple[Pattern, SimulationSettings]:
    """Return what a training seed's exam is made of.

    Args:
        seed: Decides it.

    Returns:
        Infiltration pattern, and the settings of disease and contrast.
    """
    rng = np.random.default_rng((_STREAM, seed))
    patterns = list(PATTERN_SHARE)
    pattern = patterns[int(rng.choice(len(patterns), p=list(PATTERN_SHARE.values())))]
    strays, wildness = rng.random() < _STRAYED_SHARE, float(rng.uniform(0.0, _MOST_WILDNESS))
    return pattern, SimulationSettings(disease=_DISEASE, wildness=wildness if strays else 0.0)


def simulate_enriched(seed: int) -> SimulatedExam:
    """Simulate a seed's exam to learn from; always the same one."""
    pattern, settings = enriched_recipe(seed)
    return simulate_exam(seed, pattern=pattern, settings=settings)
