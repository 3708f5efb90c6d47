"""The one entry point: quick, lazy, and with one line for every refusal."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from marrowmap.data.errors import SequenceMissingError
from marrowmap.scripts import main as entry
from marrowmap.scripts.main import COMMANDS, available_commands, main

RUN = [sys.executable, "-m", "marrowmap.scripts.main"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *arguments], capture_output=True, text=True, check=False, timeout=60)


def pretend(monkeypatch: pytest.MonkeyPatch, outcome: BaseException | int) -> None:
    """Let every command end so."""

    def command(_: list[str]) -> int:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(entry, "import_module", lambda _: SimpleNamespace(main=command))


def test_help_lists_the_commands_that_are_there_and_no_other() -> None:
    listed = [line.split()[0] for line in run("--help").stdout.splitlines() if line.startswith("  ")]
    assert listed == available_commands()
    assert "simulate" in listed
    assert set(listed) <= set(COMMANDS)


def test_help_answers_within_a_third_of_a_second() -> None:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        run("--help")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.3


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from marrowmap.scripts.main import main; main(['--help']);"
        "print(sorted({'numpy', 'torch', 'jsonargparse', 'pydicom', 'openvino'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_version_names_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("marrowmap 0.")


def test_no_command_and_an_unknown_command_are_wrong_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["diagnose"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "no command 'diagnose'" in err


def test_wrong_options_of_a_command_exit_2() -> None:
    result = run("simulate", "out", "--no-such-option")
    assert result.returncode == 2
    assert "no-such-option" in result.stderr


def test_a_refused_study_is_one_line_on_stderr_and_exit_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, SequenceMissingError("no high-b diffusion series:\n found t1"))
    assert main(["simulate", "out"]) == 3
    out, err = capsys.readouterr()
    assert (out, err) == ("", "marrowmap: no high-b diffusion series: found t1\n")


def test_the_exit_code_of_the_command_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 0)
    assert main(["simulate"]) == 0


def test_a_missing_extra_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, ModuleNotFoundError("No module named 'mujoco'", name="mujoco"))
    assert main(["simulate", "out"]) == 3
    assert "pip install 'marrowmap[simulate]'" in capsys.readouterr().err


def test_a_missing_core_package_and_a_defect_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, ModuleNotFoundError("No module named 'numpy'", name="numpy"))
    with pytest.raises(ModuleNotFoundError):
        main(["simulate"])
    pretend(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["simulate"])


def test_an_interrupt_ends_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, KeyboardInterrupt())
    assert main(["simulate"]) == 130


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE")
def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    code = (
        "import sys; from types import SimpleNamespace; from marrowmap.scripts import main as entry;"
        "command = SimpleNamespace(main=lambda _: [print('x' * 10_000) for _ in range(100)] and 0);"
        "entry.import_module = lambda _: command; sys.exit(entry.main(['simulate']))"
    )
    errors = tmp_path / "errors.txt"
    with errors.open("w") as stderr:
        writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=stderr)
        assert writer.stdout is not None
        writer.stdout.close()
        assert writer.wait(timeout=60) == 0
    assert errors.read_text() == ""
