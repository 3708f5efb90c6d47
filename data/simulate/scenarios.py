"""Named exams that teaching texts describe, built on purpose: what is there, and what must come out.

`a11` and `a12` follow two figures of a review of MRI in myeloma, `k08` and `k21` two of a course on bone
tumours. Only the words of the legends were followed, no picture; all four are simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import yaml

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.cohort import StudyFormat, require_empty, write_exam
from marrowmap.data.simulate.disease import DiseasedBody, diseased_body
from marrowmap.data.simulate.disease_settings import DiseaseSettings
from marrowmap.data.simulate.exam import SimulatedExam, SimulationSettings, scan_body
from marrowmap.data.simulate.labels import MARROW_TISSUES, Bone, Tissue
from marrowmap.data.simulate.lesions import lesion_material, lesion_truth
from marrowmap.data.simulate.painting import (
    PaintedBody,
    beyond_marrow_mask,
    connected_to,
    irregular_blob,
    marrow_mask,
)
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.spread import paint_malignant_collapse
from marrowmap.data.simulate.texture import levels_of, noise_tile
from marrowmap.data.simulate.tissue import TEXTURE_LEVELS, joined, table_of
from marrowmap.data.simulate.truth import LesionTruth
from marrowmap.data.simulate.variants import AnatomySettings, draw_variants

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy

ScenarioName = Literal["a11", "a12", "k08", "k21"]
#: Where in a bone, as shares of its marrow from left to right, from the back to the front, upward.
Place = tuple[float, float, float]
BODY: Place = (0.5, 0.75, 0.5)
ARCH: Place = (0.5, 0.15, 0.4)
LEFT_PEDICLE: Place = (0.3, 0.45, 0.6)
POSTERIOR_ILIAC: Place = (0.5, 0.1, 0.7)
ILIAC_WING: Place = (0.5, 0.6, 0.8)
FEMORAL_HEAD: Place = (0.05, 0.5, 0.96)
#: A body whose collapses are wanted is found by drawing until they come; far more than are needed.
MOST_DRAWS = 20_000


@dataclass(frozen=True, kw_only=True)
class Planted:
    """One lesion to paint.

    Attributes:
        bone: Where.
        diameter_mm: Longest diameter.
        place: Where in the bone.
        is_into_canal: It grows from the marrow nearest to the spinal canal into it.
    """

    bone: Bone
    diameter_mm: float
    place: Place = BODY
    is_into_canal: bool = False


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One described exam.

    Attributes:
        title: What the legend says, in one line.
        person: Who it is.
        lesions: To paint, in this order.
        collapsed: Vertebrae that have collapsed under a lesion.
        clinical: Clinical fields that the legend or its stage implies.
    """

    title: str
    person: Person
    lesions: tuple[Planted, ...] = ()
    collapsed: tuple[Bone, ...] = ()
    clinical: Mapping[str, Any] = field(default_factory=dict)


def _foci(*bones: Bone, diameter_mm: float = 12.0, place: Place = BODY) -> tuple[Planted, ...]:
    return tuple(Planted(bone=bone, diameter_mm=diameter_mm, place=place) for bone in bones)


_MAN_OF_57 = Person(sex="M", age_years=57, stature_mm=1750, adiposity=0.2)
_MAN_OF_63 = Person(sex="M", age_years=63, stature_mm=1760, adiposity=0.2)
_WOMAN_OF_66 = Person(sex="F", age_years=66, stature_mm=1640, adiposity=0.2)

SCENARIOS: Mapping[ScenarioName, Scenario] = MappingProxyType(
    {
        "a11": Scenario(
            title="57 years, Durie-Salmon IA, ISS II: radiographs negative, many foci of spine and pelvis on "
            "MRI, one on PET (right posterior ilium)",
            person=_MAN_OF_57,
            lesions=(
                *_foci(Bone.T6, Bone.T8, Bone.T10, Bone.T12, Bone.L1, Bone.L2, Bone.L3, Bone.L4, Bone.L5),
                *_foci(Bone.SACRUM, place=(0.4, 0.6, 0.7), diameter_mm=14.0),
                *_foci(Bone.PELVIS_RIGHT, place=POSTERIOR_ILIAC, diameter_mm=20.0),
                *_foci(Bone.PELVIS_LEFT, place=ILIAC_WING, diameter_mm=14.0),
            ),
            clinical={
                "age_years": 57,
                "haemoglobin_g_per_dl": 12.6,
                "calcium_mg_per_dl": 9.4,
                "creatinine_mg_per_dl": 0.9,
                "bone_scale": 0,
                "m_protein_type": "IgG",
                "m_protein_serum_g_per_dl": 2.4,
                "m_protein_urine_g_per_24h": 0.2,
                "beta2_microglobulin_mg_per_l": 4.1,
                "albumin_g_per_dl": 3.9,
                "pet_focal_lesions": 1,
                "extramedullary_disease": False,
            },
        ),
        "a12": Scenario(
            title="63 years: foci of spine, pelvis, ribs and the right femoral head",
            person=_MAN_OF_63,
            lesions=(
                *_foci(Bone.T7, Bone.T11, Bone.L2, Bone.L4, diameter_mm=15.0),
                *_foci(Bone.PELVIS_LEFT, Bone.PELVIS_RIGHT, place=ILIAC_WING, diameter_mm=16.0),
                *_foci(Bone.RIBS, place=(0.1, 0.6, 0.5), diameter_mm=16.0),
                *_foci(Bone.RIBS, place=(0.9, 0.6, 0.6), diameter_mm=16.0),
                *_foci(Bone.FEMUR_RIGHT, place=FEMORAL_HEAD, diameter_mm=34.0),
            ),
            clinical={"age_years": 63},
        ),
        "k08": Scenario(
            title="L1: body and posterior arch replaced, rear wall bulging, neural compression",
            person=_MAN_OF_63,
            lesions=(
                Planted(bone=Bone.L1, diameter_mm=34.0, is_into_canal=True),
                Planted(bone=Bone.L1, diameter_mm=18.0, place=ARCH),
            ),
        ),
        "k21": Scenario(
            title="pedicle of L2 destroyed; L1 and L2 collapsed, with the rear wall pushed back",
            person=_WOMAN_OF_66,
            lesions=(Planted(bone=Bone.L2, diameter_mm=18.0, place=LEFT_PEDICLE),),
            collapsed=(Bone.L1, Bone.L2),
        ),
    }
)


def simulate_scenario(
    name: ScenarioName, *, spacing_mm: float = 2.0, settings: SimulationSettings | None = None
) -> SimulatedExam:
    """Simulate one named exam; the same name gives the same exam.

    Args:
        name: Which.
        spacing_mm: Voxel side of the body and of the truth.
        settings: What is fixed of signal and scanner; body and disease follow the scenario.

    Raises:
        SettingsError: If there is no such scenario.
    """
    from marrowmap.data.simulate.anatomy import build_anatomy  # needs the extra [simulate]

    if name not in SCENARIOS:
        raise SettingsError(f"no scenario {name!r}; use one of {', '.join(SCENARIOS)}")
    scenario = SCENARIOS[name]
    streams = np.random.SeedSequence(list(name.encode())).spawn(3)
    diseases, signals, scanners = (np.random.default_rng(stream) for stream in streams)
    wanted = _anatomy_settings(scenario)
    anatomy = build_anatomy(
        scenario.person, _bodies(scenario, wanted), spacing_mm=spacing_mm, settings=wanted
    )
    body = planted_body(anatomy, scenario, diseases)
    settings = settings or SimulationSettings(spacing_mm=spacing_mm)
    return scan_body(anatomy, body, seed=0, signals=signals, scanners=scanners, settings=settings)


def write_scenario(out: Path, name: ScenarioName, format: StudyFormat = "dicom") -> SimulatedExam:
    """Simulate a named exam and write it with its truth and its clinical file.

    Args:
        out: New or empty folder.
        name: Which.
        format: As for a cohort.

    Raises:
        SettingsError: If the folder holds something already.
    """
    require_empty(out)
    simulated = simulate_scenario(name)
    write_exam(simulated, out, format)
    clinical = dict(SCENARIOS[name].clinical)
    (out / "clinical.yaml").write_text(yaml.safe_dump(clinical, sort_keys=False), encoding="utf-8")
    return simulated


def planted_body(anatomy: Anatomy, scenario: Scenario, rng: np.random.Generator) -> DiseasedBody:
    """Give a body the lesions of a scenario and nothing else."""
    healthy = diseased_body(
        anatomy,
        rng,
        pattern="normal",
        settings=DiseaseSettings(mimics_mean=0.0, mimics=(), hyperplasia=False, extramedullary_share=0.0),
    )
    canvas = PaintedBody(
        anatomy=anatomy,
        material=healthy.material,
        lesion_labels=healthy.lesion_labels,
        levels=levels_of(noise_tile(rng, smoothing_voxels=1.2), TEXTURE_LEVELS),
        spacing_mm=float(np.linalg.norm(anatomy.affine_ras_mm[:3, 0])),
    )
    painted: list[LesionTruth | None] = []
    for bone in scenario.collapsed:
        painted.append(paint_malignant_collapse(canvas, bone, rng, lesion_id=len(painted) + 1))
    for planted in scenario.lesions:
        painted.append(_plant(canvas, planted, len(painted) + 1, rng))
    return replace(
        healthy,
        table=joined(healthy.table, table_of(canvas.materials)),
        lesions=tuple(lesion for lesion in painted if lesion is not None),
        pattern="focal",
    )


def _plant(
    canvas: PaintedBody, planted: Planted, lesion_id: int, rng: np.random.Generator
) -> LesionTruth | None:
    """Paint one lesion; None where nothing of its bone is free."""
    centre = _marrow_voxel(canvas, planted)
    box, distance = irregular_blob(centre, planted.diameter_mm, canvas, rng, irregularity=0.08)
    inside = distance < 1
    mask = marrow_mask(canvas, box, inside, planted.bone)
    if planted.is_into_canal:
        mask |= beyond_marrow_mask(canvas, box, inside, planted.bone, soft_tissue=True)
    start = tuple(int(index) - side.start for index, side in zip(centre, box, strict=True))
    mask = connected_to(mask, start)
    if not mask.any():
        return None
    material = lesion_material("active", rng)
    canvas.paint(box, mask, canvas.add(material))
    canvas.lesion_labels[box][mask] = lesion_id
    truth = lesion_truth(canvas, box, mask, planted.bone, lesion_id, "active", material)
    is_epidural = bool((canvas.anatomy.tissue[box][mask] == Tissue.CSF).any())
    return replace(truth, breaches_cortex=planted.is_into_canal, is_epidural=is_epidural)


def _marrow_voxel(canvas: PaintedBody, planted: Planted) -> npt.NDArray[np.int32]:
    """Return the free marrow voxel of a bone that is nearest to the place asked for.

    For growth into the canal that is the rear wall of the body: behind the place, at its height.
    """
    anatomy = canvas.anatomy
    free = np.isin(anatomy.tissue, MARROW_TISSUES) & (anatomy.bone == planted.bone)
    voxels = np.argwhere(free & (canvas.lesion_labels == 0))
    low, high = voxels.min(axis=0), voxels.max(axis=0)
    share = np.array(planted.place)
    if anatomy.affine_ras_mm[0, 0] < 0:
        share[0] = 1.0 - share[0]
    if planted.is_into_canal:
        share[1] = 0.55
    aim = low + share * (high - low)
    return voxels[int(np.argmin(np.square(voxels - aim).sum(axis=1)))].astype(np.int32)


def _anatomy_settings(scenario: Scenario) -> AnatomySettings:
    return AnatomySettings(
        arms="beside",
        transitional="none",
        collapses=("malignant",) * len(scenario.collapsed),
        prosthesis="none",
        deformation_mm=3.0,
    )


def _bodies(scenario: Scenario, wanted: AnatomySettings) -> np.random.Generator:
    """Return a source of randomness whose body has exactly the collapses that are wanted.

    Raises:
        SettingsError: If none comes; the simulator's draws must have changed.
    """
    for seed in range(MOST_DRAWS):
        drawn = draw_variants(scenario.person, wanted, np.random.default_rng(seed))
        bones = {collapse.bone for collapse in drawn.collapses}
        is_deep = all(collapse.height_loss >= 0.45 for collapse in drawn.collapses)
        if bones == set(scenario.collapsed) and is_deep:
            return np.random.default_rng(seed)
    raise SettingsError(f"no body with collapses of {scenario.collapsed} in {MOST_DRAWS} draws")
