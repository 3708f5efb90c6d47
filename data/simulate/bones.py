"""The surfaces of the bones, from the package `myo-sim` (Apache-2.0), by name.

The skeleton stands in one neutral pose; `posture.py` fits it to a person. Frame: RAS+ mm, origin midway
between the hip joints.
"""

from __future__ import annotations

import logging
import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.labels import Bone
from marrowmap.data.simulate.shapes import Faces, Points, Surface

_log = logging.getLogger(__name__)

_MESH_OF_BONE = {
    Bone.SACRUM: "sacrum",
    Bone.SKULL: "hat_skull",
    Bone.MANDIBLE: "hat_jaw",
    Bone.CLAVICLE_RIGHT: "clavicle_r",
    Bone.CLAVICLE_LEFT: "clavicle_l",
    Bone.SCAPULA_RIGHT: "scapula_r",
    Bone.SCAPULA_LEFT: "scapula_l",
    Bone.HUMERUS_RIGHT: "humerus_r",
    Bone.HUMERUS_LEFT: "humerus_l",
    Bone.PELVIS_RIGHT: "r_pelvis",
    Bone.PELVIS_LEFT: "l_pelvis",
    Bone.FEMUR_RIGHT: "r_femur",
    Bone.FEMUR_LEFT: "l_femur",
    **{Bone[f"L{level}"]: f"lumbar{level}" for level in range(1, 6)},
    **{Bone[f"T{level}"]: f"thoracic{level}_s" for level in range(1, 13)},
}
_FOREARM = ("ulna_r", "radius_r", "ulna_l", "radius_l")
_CLOSED = {
    Bone.SACRUM,
    Bone.FEMUR_RIGHT,
    Bone.FEMUR_LEFT,
    *(bone for bone in Bone if Bone.T1 <= bone <= Bone.L5),
}
_GEOM_IS_MESH = 7  # mujoco.mjtGeom.mjGEOM_MESH
_RIB_VERTICES = range(50, 99)
_STERNUM_VERTICES = range(400, 2000)
_CERVICAL_VERTICES = (142, 212, 308)


@lru_cache(maxsize=1)
def bone_surfaces() -> tuple[tuple[Bone, Surface], ...]:
    """Return every bone's surface; `Bone.RIBS` and `Bone.FOREARM` come several times, one a bone.

    `Bone.STERNUM` comes with the costal cartilages that its surface carries: the canvas parts them.

    Raises:
        SettingsError: If the package `myo-sim` is not installed.
    """
    meshes, origin = _load_meshes()

    def surface(name: str, *, is_closed: bool = True) -> Surface:
        vertices, faces = meshes[name]
        return Surface(_to_ras(vertices - origin), faces, is_closed)

    bones = [(bone, surface(name, is_closed=bone in _CLOSED)) for bone, name in _MESH_OF_BONE.items()]
    bones += [(Bone.FOREARM, surface(name, is_closed=False)) for name in _FOREARM]
    bones += _cervical(surface("hat_cervical"))
    bones += _thorax(surface("ribcage_s" if "ribcage_s" in meshes else "ribcage"))
    return tuple(bones)


def _load_meshes() -> tuple[dict[str, tuple[Points, Faces]], Points]:
    """Return vertices (world mm) and faces by mesh name, and the point between the hip joints."""
    try:
        import mujoco as compiled
        import myo_sim
    except ImportError as error:
        raise SettingsError(
            "simulating needs the bone surfaces of the package myo-sim, which is not installed; "
            "install marrowmap[simulate]"
        ) from error
    mujoco: Any = compiled  # its names come from a compiled module, which type checkers cannot see
    # Without this MuJoCo writes MUJOCO_LOG.TXT into the working directory for a harmless remark on prefixes.
    mujoco.set_mju_user_warning(lambda message: _log.debug("mujoco: %s", message))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded: Any = myo_sim.load("myofullbody")
    model = loaded[0] if isinstance(loaded, tuple) else loaded
    state = mujoco.MjData(model)
    mujoco.mj_kinematics(model, state)
    meshes = {}
    for geom in np.flatnonzero(model.geom_type == _GEOM_IS_MESH):
        mesh = model.geom_dataid[geom]
        start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        local = model.mesh_vert[start : start + count].astype(np.float64)
        world = local @ state.geom_xmat[geom].reshape(3, 3).T + state.geom_xpos[geom]
        start, count = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
        name = model.mesh(mesh).name
        short = name.split("_", 3)[3] if "_geom_" in name else name
        meshes[short] = (world * 1000.0, model.mesh_face[start : start + count].astype(np.int64))
    hips = [state.body(name).xpos for name in ("femur_r", "femur_l")]
    return meshes, np.mean(hips, axis=0) * 1000.0


def _to_ras(vertices: Points) -> Points:
    """The model faces -y with its right hand at -x: half a turn about z gives RAS+."""
    return vertices * [-1.0, -1.0, 1.0]


def _parts(surface: Surface) -> list[Surface]:
    """Split a surface into its connected parts."""
    import trimesh

    mesh = trimesh.Trimesh(surface.vertices, surface.faces, process=True)
    parts = mesh.split(only_watertight=True)
    return [Surface(np.asarray(part.vertices), np.asarray(part.faces)) for part in parts]


def _cervical(surface: Surface) -> list[tuple[Bone, Surface]]:
    """Name the seven vertebrae of the cervical spine's one surface, from the top (C1)."""
    vertebrae = [part for part in _parts(surface) if len(part.vertices) in _CERVICAL_VERTICES]
    vertebrae.sort(key=lambda part: -part.vertices[:, 2].mean())
    return [(Bone(Bone.C1 + number), part) for number, part in enumerate(vertebrae)]


def _thorax(surface: Surface) -> list[tuple[Bone, Surface]]:
    """Name ribs and sternum among the parts of the rib cage; the model's heart is left out."""
    named = []
    for part in _parts(surface):
        is_heart = part.vertices[:, 1].min() > part.vertices[:, 1].max() - 60 and len(part.vertices) > 2000
        if len(part.vertices) in _STERNUM_VERTICES:
            named.append((Bone.STERNUM, part))
        elif len(part.vertices) in _RIB_VERTICES and not is_heart:
            named.append((Bone.RIBS, part))
    return named
