import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

import marrowmap.models.engine as engine_module
from marrowmap.data.errors import EngineError
from marrowmap.models.bundle import Bundle
from marrowmap.models.engine import open_engine, usable_threads

CPU_PATH = """
import sys
from pathlib import Path
import numpy as np
import marrowmap.inference.segment
from marrowmap.models.bundle import load_bundle
from marrowmap.models.engine import open_engine
bundle = load_bundle(Path(sys.argv[1]))
result = open_engine(bundle, "cpu", threads=1).run(np.zeros((5, *bundle.patch_size), np.float32))
assert result.shape == (10, *bundle.patch_size)
heavy = {"torch", "monai", "lightning", "pandas", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
telemetry = [name for name in sys.modules if name.startswith("openvino_telemetry") and sys.modules[name]]
assert not telemetry, telemetry
"""


def random_patches(bundle: Bundle, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.random((5, *bundle.patch_size), dtype=np.float32) for _ in range(count)]


def test_openvino_and_torch_give_the_same_logits(small_bundle: Bundle) -> None:
    patch = random_patches(small_bundle, 1)[0]
    by_openvino = open_engine(small_bundle, "cpu", threads=1).run(patch)
    by_torch = open_engine(small_bundle, "torch-cpu").run(patch)
    assert by_openvino.shape == by_torch.shape == (10, 16, 8, 24)
    assert by_openvino.dtype == by_torch.dtype == np.float32
    assert np.ptp(by_torch) > 0.1
    assert_allclose(by_openvino, by_torch, atol=2e-5)


def test_the_cpu_path_imports_no_torch_and_no_telemetry(small_bundle: Bundle) -> None:
    command = [sys.executable, "-W", "error", "-c", CPU_PATH, str(small_bundle.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_number_of_threads_changes_no_byte(small_bundle: Bundle) -> None:
    patches = random_patches(small_bundle, 7)
    alone = [r.tobytes() for r in open_engine(small_bundle, "cpu", threads=1).run_many(patches)]
    together = [r.tobytes() for r in open_engine(small_bundle, "cpu", threads=3).run_many(patches)]
    assert alone == together


def test_many_windows_come_back_in_their_order(small_bundle: Bundle) -> None:
    patches = random_patches(small_bundle, 5)
    engine = open_engine(small_bundle, "cpu", threads=2)
    one_by_one = [engine.run(patch) for patch in patches]
    for expected, found in zip(one_by_one, engine.run_many(iter(patches)), strict=True):
        assert np.array_equal(found, expected)


def test_a_batch_of_torch_gives_what_single_windows_give(small_bundle: Bundle) -> None:
    patches = random_patches(small_bundle, 5)
    engine = engine_module.TorchEngine(small_bundle, "cpu", batch_size=2)
    batched = [result.copy() for result in engine.run_many(patches)]
    assert len(batched) == 5
    for patch, found in zip(patches, batched, strict=True):
        assert_allclose(found, engine.run(patch), atol=2e-5)


def test_no_windows_give_no_results(small_bundle: Bundle) -> None:
    assert list(open_engine(small_bundle, "cpu", threads=1).run_many([])) == []


def test_a_view_of_a_larger_array_is_a_patch_too(small_bundle: Bundle) -> None:
    whole = np.random.default_rng(2).random((5, 20, 12, 30), dtype=np.float32)
    view = whole[:, 2:18, 1:9, 3:27]
    engine = open_engine(small_bundle, "cpu", threads=1)
    assert np.array_equal(engine.run(view), engine.run(view.copy()))


@pytest.mark.parametrize("device", ["cpu", "torch-cpu"])
def test_a_patch_of_another_size_is_refused(small_bundle: Bundle, device: str) -> None:
    engine = open_engine(small_bundle, device, threads=1)
    with pytest.raises(EngineError, match=r"sides \(16, 8, 24\), found \(5, 16, 16, 24\)"):
        engine.run(np.zeros((5, 16, 16, 24), np.float32))


def test_an_unknown_device_is_refused(small_bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="need --device auto, cpu, cuda or cuda:n, found tpu"):
        open_engine(small_bundle, "tpu")


def test_no_threads_are_refused(small_bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="one thread or more, found 0"):
        open_engine(small_bundle, "cpu", threads=0)


def test_cuda_without_a_device_is_refused(small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "has_cuda_device", lambda: False)
    with pytest.raises(EngineError, match="need a CUDA device for --device cuda:1, found none"):
        open_engine(small_bundle, "cuda:1")


def test_auto_is_the_cpu_where_no_device_answers(
    small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "has_cuda_device", lambda: False)
    engine = open_engine(small_bundle, "auto", threads=1)
    assert engine.device == "cpu"
    assert engine.name.startswith("openvino 20")


def test_at_least_one_thread_may_be_used() -> None:
    assert usable_threads() >= 1
