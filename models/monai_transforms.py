"""What a MONAI bundle of ours needs beside MONAI's own parts: a study in, a label map out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform

from marrowmap.data.errors import StudyError
from marrowmap.data.lesion_outline import lesion_components
from marrowmap.data.model_input import CHANNELS, ModelInputSettings, to_model_input
from marrowmap.data.nifti import read_nifti
from marrowmap.data.read import read_exam
from marrowmap.models.monai_bundle import LESION_LABEL
from marrowmap.models.unet import LESION_CHANNEL, REGION_CHANNEL_SLICE, MarrowUNet, UNetSettings, build_unet

Item = dict[Hashable, Any]


def network_of(plain: Mapping[str, Any]) -> MarrowUNet:
    """Return an untrained network of a bundle's plain settings."""
    settings: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in plain.items()}
    return build_unet(UNetSettings(**settings))


class StudyToInputd(MapTransform):
    """Turn a path into the network's input, a float32 `MetaTensor` `(c, i, j, k)` with its RAS+ affine.

    The path is a study as `marrowmap infer` takes it, or a NIfTI file `(i, j, k, c)` of the network's
    channels in network units.
    """

    def __init__(self, keys: Any, allow_missing_keys: bool = False, **settings: float) -> None:
        """Take the settings of `ModelInputSettings` by name; they are the bundle's."""
        super().__init__(keys, allow_missing_keys)
        self.settings = ModelInputSettings(**settings)

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """Return the item with every key's path replaced.

        Raises:
            MarrowmapError: If the study cannot be read, or the file has other channels.
        """
        item = dict(data)
        for key in self.key_iterator(item):
            path = Path(item[key])
            is_input = path.is_file() and path.name.endswith((".nii", ".nii.gz"))
            array, affine = _channels(path) if is_input else self._study(path)
            meta = {"filename_or_obj": str(path)}
            item[key] = MetaTensor(torch.from_numpy(array), affine=torch.from_numpy(affine), meta=meta)
        return item

    def _study(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        model_input = to_model_input(read_exam(path), self.settings)
        return model_input.array, model_input.grid.affine_ras_mm


def _channels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    array, affine = read_nifti(path)
    if array.ndim != 4 or array.shape[3] != len(CHANNELS):
        raise StudyError(
            f"need a file of {len(CHANNELS)} channels ({', '.join(CHANNELS)}), found shape "
            f"{array.shape} in {path.name}; write it with marrowmap read --layout network"
        )
    return np.ascontiguousarray(np.moveaxis(array, 3, 0)), affine


class LogitsToLabelsd(MapTransform):
    """Turn logits `(1 + regions, i, j, k)` into a label map `(1, i, j, k)`: regions, and lesions over them.

    Lesions are found and outlined as in `marrowmap infer`; specks that it leaves out of its list stay.
    """

    def __init__(self, keys: Any, lesion_threshold: float, allow_missing_keys: bool = False) -> None:
        """Take the probability from which a component is a lesion."""
        super().__init__(keys, allow_missing_keys)
        self.lesion_threshold = lesion_threshold

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """Return the item with every key's logits replaced by uint8 labels; affine and name are kept."""
        item = dict(data)
        for key in self.key_iterator(item):
            logits = item[key]
            probability = torch.sigmoid(logits[LESION_CHANNEL].float()).cpu().numpy()
            components, is_found = lesion_components(np.asarray(probability), self.lesion_threshold)
            is_lesion = np.concatenate([[False], is_found])[components.labels]
            regions = logits[REGION_CHANNEL_SLICE].argmax(dim=0).cpu().numpy()
            labels = np.where(is_lesion, LESION_LABEL, np.asarray(regions)).astype(np.uint8)
            item[key] = MetaTensor(torch.from_numpy(labels)[None], meta=logits.meta)
        return item


def infer_all(
    dataset: Iterable[Mapping[str, Any]],
    inferer: Callable[..., torch.Tensor],
    network: torch.nn.Module,
    postprocessing: Callable[[Any], Any],
    device: torch.device,
) -> None:
    """Run every item of a dataset through the network and what comes after it."""
    with torch.inference_mode():
        for item in dataset:
            image = item["image"]
            logits = inferer(image[None].to(device), network)[0]
            pred = MetaTensor(logits.cpu(), meta=image.meta)
            postprocessing({**item, "pred": pred})
