"""A bundle of ours in the layout of MONAI's bundles, for `monai.bundle run`, MONAI Label and 3D Slicer.

```
monai/configs/metadata.json    what it is, by MONAI's schema
monai/configs/inference.json   from a study to a label map; MONAI Label takes its parts
monai/configs/logging.conf     MONAI's default asks for one
monai/models/model.pt          the weights, float32, by parameter name
monai/docs/README.md           how to run it and what it is not for
monai/LICENSE
```
Reading a study and scaling it are ours (`monai_transforms`), so the package must be installed beside MONAI.
"""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from marrowmap.data.model_input import CHANNELS
from marrowmap.data.skeleton import Region
from marrowmap.models.bundle import Bundle

FOLDER = "monai"
#: The label of a lesion in the label map; 1 to 8 are the regions.
LESION_LABEL = len(Region) + 1
#: Overlap of windows, as a fraction of their sides.
_OVERLAP = 0.25
_SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
)
_TRANSFORMS = "marrowmap.models.monai_transforms"
_LOGGING = """[loggers]
keys=root

[handlers]
keys=console

[formatters]
keys=plain

[logger_root]
level=INFO
handlers=console

[handler_console]
class=StreamHandler
level=INFO
formatter=plain
args=(sys.stderr,)

[formatter_plain]
format=%(levelname)s %(message)s
"""


def write_monai_bundle(bundle: Bundle) -> Path:
    """Write the folder `monai` into a bundle, in the place of one that is there, and return it."""
    import torch

    from marrowmap.models.convert import load_network

    root = bundle.folder / FOLDER
    shutil.rmtree(root, ignore_errors=True)
    for name in ("configs", "models", "docs"):
        (root / name).mkdir(parents=True)
    torch.save(load_network(bundle).state_dict(), root / "models" / "model.pt")
    _write_json(root / "configs" / "metadata.json", metadata(bundle))
    _write_json(root / "configs" / "inference.json", inference(bundle))
    (root / "configs" / "logging.conf").write_text(_LOGGING, encoding="utf-8")
    (root / "docs" / "README.md").write_text(_readme(bundle), encoding="utf-8")
    (root / "LICENSE").write_text(
        "Apache-2.0: https://www.apache.org/licenses/LICENSE-2.0\n", encoding="utf-8"
    )
    return root


def labels() -> dict[str, str]:
    """Return what each value of the label map means, as MONAI's schema has it."""
    regions = {str(region.value): region.key for region in Region}
    return {"0": "background", **regions, str(LESION_LABEL): "lesion"}


def metadata(bundle: Bundle) -> dict[str, Any]:
    """Return the bundle's metadata by MONAI's schema."""
    import monai
    import numpy as np
    import torch

    image = {
        "type": "image", "format": "magnitude", "modality": "MR", "num_channels": len(CHANNELS),
        "spatial_shape": list(bundle.patch_size), "dtype": "float32",
        "value_range": [0, max(bundle.input.signal_maximum, bundle.input.adc_maximum)],
        "is_patch_data": True,
        "channel_def": {str(n): channel.value for n, channel in enumerate(CHANNELS)},
    }  # fmt: skip
    prediction = {
        "type": "image", "format": "segmentation", "num_channels": 1,
        "spatial_shape": list(bundle.patch_size), "dtype": "uint8", "value_range": [0, LESION_LABEL],
        "is_patch_data": False, "channel_def": labels(),
    }  # fmt: skip
    return {
        "schema": _SCHEMA,
        "version": bundle.version,
        "changelog": {bundle.version: f"weights {bundle.sha256[:12]}"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {"marrowmap": version("marrowmap"), "nibabel": version("nibabel")},
        "name": bundle.name,
        "task": "Marrow lesions and skeletal regions in whole-body MRI",
        "description": f"Trained on: {bundle.trained_on}.",
        "authors": "the marrowmap authors",
        "copyright": "Apache-2.0",
        "data_source": bundle.trained_on,
        "data_type": "DICOM or NIfTI study",
        "intended_use": bundle.intended_use,
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": prediction}},
    }


def inference(bundle: Bundle) -> dict[str, Any]:
    """Return the configuration that `monai.bundle run` executes."""
    network = {"_target_": f"{_TRANSFORMS}.network_of", "plain": dict(bundle.network)}
    return {
        "imports": [
            "$from pathlib import Path",
            "$import numpy as np",
            "$import torch",
            f"$from {_TRANSFORMS} import infer_all",
        ],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/studies'",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "datalist": "$[{'image': str(path)} for path in sorted(Path(@dataset_dir).iterdir())]",
        "network_def": network,
        "weights": "$torch.load(@bundle_root + '/models/model.pt', map_location='cpu', weights_only=True)",
        "network": "$@network_def.to(@device).eval()",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": f"{_TRANSFORMS}.StudyToInputd", "keys": "image", **vars(bundle.input)},
            ],
        },
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": list(bundle.patch_size),
            "sw_batch_size": 1,
            "overlap": _OVERLAP,
            "mode": "gaussian",
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {
                    "_target_": f"{_TRANSFORMS}.LogitsToLabelsd",
                    "keys": "pred",
                    "lesion_threshold": bundle.lesion_threshold,
                },
                {
                    "_target_": "SaveImaged",
                    "keys": "pred",
                    "output_dir": "@output_dir",
                    "output_postfix": "marrowmap",
                    "output_dtype": "$np.uint8",
                    "resample": False,
                    "print_log": False,
                },
            ],
        },
        "initialize": ["$@network_def.load_state_dict(@weights)"],
        "run": ["$infer_all(@dataset, @inferer, @network, @postprocessing, @device)"],
    }


def _readme(bundle: Bundle) -> str:
    meanings = ", ".join(f"{value} {name}" for value, name in labels().items())
    return f"""# {bundle.name} {bundle.version} as a MONAI bundle

Needs the packages marrowmap and MONAI, and fire for MONAI's command line. From this bundle's folder:

```sh
pip install fire
python -m monai.bundle run --config_file configs/inference.json --bundle_root . --dataset_dir STUDIES
```

`STUDIES` holds one folder a study: DICOM, or NIfTI files named by sequence; or one NIfTI file of the
network's {len(CHANNELS)} channels ({", ".join(CHANNELS)}), as
`marrowmap read STUDY --nifti OUT --layout network` writes it. The label maps go to `eval/STUDY/`:
{meanings}.
Lesions are outlined as `marrowmap infer` does it, but MONAI lays its windows on another raster, so edges
differ by voxels. Counts, burden, stage and everything that is said of them are the work of
`marrowmap infer` alone: take it for those.

Trained on: {bundle.trained_on}. {bundle.intended_use} Never to be read as: there is no myeloma.
"""


def _write_json(path: Path, plain: dict[str, Any]) -> None:
    path.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
