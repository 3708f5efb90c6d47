"""A trained torch network becomes weight files, and a bundle becomes a torch network again."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowmap.data.errors import BundleError
from marrowmap.models.bundle import SAFETENSORS, Bundle, BundleDescription
from marrowmap.models.quiet_openvino import import_openvino

if TYPE_CHECKING:
    import torch


#: Key of the file's header: MONAI's DynUNet lists every block twice, under two names.
ALIASES = "aliases"


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Return a file's parameters by name, in float32.

    Raises:
        BundleError: If the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            aliases = json.loads((file.metadata() or {}).get(ALIASES, "{}"))
    except (OSError, SafetensorError) as error:
        raise BundleError(f"cannot read {path}: {error}; export it again") from error
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    return state | {alias: state[name] for alias, name in aliases.items()}


def load_network(bundle: Bundle) -> torch.nn.Module:
    """Return the bundle's torch network in float32, set to evaluate.

    Raises:
        BundleError: If the weights do not fit the network that the metadata describes.
    """
    from marrowmap.models.unet import build_unet

    network = build_unet(network_settings(bundle))
    try:
        network.load_state_dict(read_safetensors(bundle.folder / SAFETENSORS))
    except RuntimeError as error:
        raise BundleError(
            f"{bundle.folder / SAFETENSORS} does not fit its network settings; export it again"
        ) from error
    return network.eval()


def network_settings(bundle: BundleDescription) -> Any:
    """Return the bundle's `UNetSettings`.

    Raises:
        BundleError: If its metadata has settings that this version does not know.
    """
    from marrowmap.models.unet import UNetSettings

    plain: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in bundle.network.items()}
    try:
        return UNetSettings(**plain)
    except TypeError as error:
        raise BundleError(f"network settings of another version: {error}; train or export again") from error


def plain_settings(settings: Any) -> dict[str, Any]:
    """Return `UNetSettings` as the plain values that a description holds."""
    return dataclasses.asdict(settings)


def write_safetensors(network: torch.nn.Module, path: Path) -> None:
    """Write a network's parameters by name, floating-point ones as float16, shared ones once."""
    from safetensors.torch import save_file

    first_name: dict[tuple[int, tuple[int, ...]], str] = {}
    aliases, state = {}, {}
    for name, tensor in network.state_dict().items():
        first = first_name.setdefault((tensor.data_ptr(), tuple(tensor.shape)), name)
        if first != name and tensor.numel():
            aliases[name] = first
        else:
            half = tensor.half() if tensor.is_floating_point() else tensor
            state[name] = half.detach().cpu().contiguous()
    save_file(state, path, metadata={"format": "pt", ALIASES: json.dumps(aliases)})
    path.chmod(0o644)


def write_openvino(network: torch.nn.Module, shape: tuple[int, ...], path: Path) -> None:
    """Convert at one fixed shape: a network that need not ask for its size is planned once and faster.

    Args:
        network: On any device; left as it was.
        shape: Of the input, `(1, c, i, j, k)`.
        path: The `.xml`; its `.bin` goes beside it.
    """
    import torch

    openvino = import_openvino()
    was_training, device = network.training, next(network.parameters()).device
    network.eval().cpu()
    with warnings.catch_warnings(), torch.no_grad():
        # Shapes are fixed on purpose, so values that a trace turns into constants are right.
        warnings.simplefilter("ignore")
        model = openvino.convert_model(network, example_input=torch.zeros(shape), input=[list(shape)])
    network.train(was_training).to(device)
    openvino.save_model(model, path, compress_to_fp16=True)
