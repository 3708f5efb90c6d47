"""Two processes that learn as one."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from marrowmap.data.errors import SettingsError
from marrowmap.training.config import StreamSettings, TrainSettings
from marrowmap.training.ranks import is_first_process, own_share_first
from marrowmap.training.toy import toy_exam
from marrowmap.training.train import train

#: What each of the two processes runs.
PROGRAM = """
import json, sys, warnings
from dataclasses import replace
from pathlib import Path
from marrowmap.data.model_input import ModelInputSettings
from marrowmap.models.unet import UNetSettings
from marrowmap.training.config import StreamSettings, TrainSettings
from marrowmap.training.toy import toy_exam
from marrowmap.training.train import train

warnings.simplefilter("error")
cache, run, changes = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
stream = StreamSettings(exams=2, validation_exams=1, cache=cache, workers=0, patch_size=(16, 16, 24))
train(TrainSettings(
    run=run, threads=1, device="cpu", log_every_s=0.0, precision="float32", validation_patches=2,
    network=UNetSettings(features=(8, 16, 16)), model_input=ModelInputSettings(spacing_mm=8.0),
    stream=stream, **changes,
), make=toy_exam)
"""


def together(processes: int, cache: Path, run: Path, **changes: object) -> None:
    """Train with what torchrun tells each process; torchrun itself would take seconds more."""
    program = run.parent / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(cache), str(run), json.dumps(changes)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    told |= {"GROUP_RANK": "0", "LOCAL_WORLD_SIZE": str(processes), "TORCHELASTIC_RUN_ID": "test"}
    started = []
    for rank in range(processes):
        own = {**os.environ, **told, "OMP_NUM_THREADS": "1", "RANK": str(rank), "LOCAL_RANK": str(rank)}
        started.append(subprocess.Popen(command, env=own, stderr=subprocess.PIPE, text=True))
    try:
        said = [process.communicate(timeout=600)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * processes, said[0][-3000:] + said[1][-3000:]


def test_two_processes_end_with_the_weights_of_one_that_had_all_their_patches(
    small_run: TrainSettings, tmp_path: Path
) -> None:
    one = replace(small_run, max_steps=20, validate_every=20, precision="float32", batch_size=4)
    train(one, make=toy_exam)
    two = {"max_steps": 20, "validate_every": 20, "batch_size": 2, "devices": 2}
    together(2, one.stream.cache, tmp_path / "two", **two)
    first, second = (
        torch.load(run / "last.ckpt", weights_only=True)["current_model_state"]
        for run in (one.run, tmp_path / "two")
    )
    furthest = max(float((value - second[name]).abs().max()) for name, value in first.items())
    assert furthest < 1e-5


def test_processes_take_up_each_others_exams() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANK", "1")
        patch.setenv("WORLD_SIZE", "2")
        assert own_share_first(range(5)) == [1, 3, 0, 2, 4]
        assert not is_first_process()
    assert own_share_first(range(3)) == [0, 1, 2]
    assert is_first_process()


def test_two_processes_started_for_one_device_are_refused(
    small_run: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingsError, match="--devices 1 --nodes 1 needs 1 processes, found 2"):
        train(small_run, make=toy_exam)


def test_a_growing_stream_on_two_devices_is_refused() -> None:
    with pytest.raises(SettingsError, match="mode growing needs one device"):
        TrainSettings(devices=2, stream=StreamSettings(mode="growing"))
