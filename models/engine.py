"""Run windows through a network: OpenVINO on a CPU (torch is never imported), torch on CUDA.

Every window is computed by one thread, several windows at a time: the numbers do not depend on how
many threads there are, and no time is lost where threads of one window would wait for each other.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import EngineError
from marrowmap.models.bundle import OPENVINO_XML, Bundle
from marrowmap.models.quiet_openvino import import_openvino

if TYPE_CHECKING:
    import torch

#: float32 `(c, i, j, k)` in, float32 `(1 + regions, i, j, k)` out.
Patch = npt.NDArray[np.float32]

#: Windows in a batch on CUDA: enough to fill the device with small layers, a few GB at most.
CUDA_BATCH = 4


class Engine(Protocol):
    """A network ready to run.

    Attributes:
        name: `openvino` or `torch`, with its version.
        device: `cpu` or `cuda:0`.
        patch_size: The only window size it takes.
    """

    name: str
    device: str
    patch_size: tuple[int, int, int]

    def run(self, patch: Patch) -> Patch:
        """Return the logits of one window."""
        ...

    def run_many(self, patches: Iterable[Patch]) -> Iterator[Patch]:
        """Yield the logits of windows in their order; each is valid only until the next is asked for."""
        ...


def open_engine(bundle: Bundle, device: str = "auto", threads: int | None = None) -> Engine:
    """Make a bundle ready to run.

    Args:
        bundle: The weights.
        device: `auto` (CUDA if a device answers, else CPU), `cpu`, `cuda`, `cuda:n`, or `torch-cpu`
            (slow; for comparisons).
        threads: CPU threads; None for all that this process may use.

    Raises:
        EngineError: If the device is unknown or not there.
    """
    if not re.fullmatch(r"auto|cpu|torch-cpu|cuda(:\d+)?", device):
        raise EngineError(f"need --device auto, cpu, cuda or cuda:n, found {device}")
    if threads is not None and threads < 1:
        raise EngineError(f"need one thread or more, found {threads}")
    if device == "auto":
        device = "cuda" if has_cuda_device() and _torch_sees_cuda() else "cpu"
    if device == "cpu":
        return OpenVinoEngine(bundle, threads or usable_threads())
    if device == "torch-cpu":
        return TorchEngine(bundle, "cpu", batch_size=1)
    if not has_cuda_device() or not _torch_sees_cuda():
        raise EngineError(f"need a CUDA device for --device {device}, found none; use --device cpu")
    return TorchEngine(bundle, device, batch_size=CUDA_BATCH)


class OpenVinoEngine:
    """The network on a CPU by OpenVINO, in float32."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        """Read and compile the bundle's OpenVINO model.

        Raises:
            EngineError: If OpenVINO cannot read or compile it.
        """
        openvino = import_openvino()
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": str(threads),
            "INFERENCE_NUM_THREADS": str(threads),
        }
        try:
            model = openvino.Core().compile_model(str(bundle.folder / OPENVINO_XML), "CPU", settings)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise EngineError(f"OpenVINO cannot run {bundle.folder / OPENVINO_XML}: {reason}") from error
        self.name = f"openvino {openvino.__version__.split('-')[0]}"
        self.device = "cpu"
        self.patch_size = bundle.patch_size
        self._model = model
        # One more than the threads: while a result is added up, all threads have a window.
        self._requests = threads + 1

    def run(self, patch: Patch) -> Patch:
        """Return the logits of one window."""
        results = self.run_many([patch])
        return next(results).copy()

    def run_many(self, patches: Iterable[Patch]) -> Iterator[Patch]:
        """Yield the logits of windows in their order; each is valid only until the next is asked for."""
        free = [self._model.create_infer_request() for _ in range(self._requests)]
        running: deque[tuple[Any, Patch]] = deque()
        for patch in patches:
            batch = np.ascontiguousarray(checked(patch, self.patch_size), dtype=np.float32)[None]
            request = free.pop()
            request.start_async({0: batch}, share_inputs=True)
            running.append((request, batch))
            if not free:
                yield from self._finish(running, free)
        while running:
            yield from self._finish(running, free)

    @staticmethod
    def _finish(running: deque[tuple[Any, Patch]], free: list[Any]) -> Iterator[Patch]:
        request, _ = running.popleft()
        request.wait()
        yield request.get_output_tensor(0).data[0]
        free.append(request)


class TorchEngine:
    """The network by torch: CUDA with float16 arithmetic, or a CPU in float32 for comparisons."""

    def __init__(self, bundle: Bundle, device: str, batch_size: int) -> None:
        """Load the bundle's safetensors onto a device.

        Raises:
            EngineError: If the device does not take the network.
        """
        import torch

        from marrowmap.models.convert import load_network

        try:
            self._network = load_network(bundle).to(device)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise EngineError(f"cannot use {device}: {reason}; use --device cpu") from error
        self.name = f"torch {torch.__version__}"
        self.device = device
        self.patch_size = bundle.patch_size
        self._batch_size = batch_size

    def run(self, patch: Patch) -> Patch:
        """Return the logits of one window."""
        results = self.run_many([patch])
        return next(results).copy()

    def run_many(self, patches: Iterable[Patch]) -> Iterator[Patch]:
        """Yield the logits of windows in their order, computed in batches."""
        remaining = iter(patches)
        while batch := [
            checked(patch, self.patch_size) for patch in itertools.islice(remaining, self._batch_size)
        ]:
            yield from self._logits(np.stack(batch))

    def _logits(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the logits `(n, 1 + regions, i, j, k)` of a batch `(n, c, i, j, k)`."""
        import torch

        is_cuda = self.device.startswith("cuda")
        with torch.inference_mode(), torch.autocast("cuda", torch.float16, enabled=is_cuda):
            result: torch.Tensor = self._network(torch.from_numpy(batch).to(self.device))
        return result.float().cpu().numpy()


def checked(patch: Patch, patch_size: tuple[int, int, int]) -> Patch:
    """Return a patch whose shape the network takes.

    Raises:
        EngineError: If its sides are not `patch_size`.
    """
    if patch.ndim != 4 or patch.shape[1:] != tuple(patch_size):
        raise EngineError(f"need a patch (c, i, j, k) with sides {tuple(patch_size)}, found {patch.shape}")
    return patch


def usable_threads() -> int:
    """Return how many CPU threads this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_cuda_device() -> bool:
    """Say whether an NVIDIA driver reports a device, without importing torch (seconds on a CPU)."""
    count = ctypes.c_int(0)
    for library in ("libcuda.so.1", "nvcuda.dll"):
        try:
            driver = ctypes.CDLL(library)
        except OSError:
            continue
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value > 0
    return False


def _torch_sees_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
