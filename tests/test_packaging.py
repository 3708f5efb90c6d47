"""The wheel: everything of ours, under one name, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("data", "models", "training", "inference", "scripts")
SKIPPED = shutil.ignore_patterns("__pycache__", "*.pyc")


def files_of_ours() -> set[str]:
    """Every file of the five folders, by the path that it should have in the wheel."""
    return {
        f"marrowmap/{path.relative_to(ROOT).as_posix()}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built without network from a copy into which patients' files were dropped."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=SKIPPED)
    for stray in ("data/patient.dcm", "data/t1.nii.gz", "models/prior.npy", "models/weights/exam.nii"):
        (copy / stray).parent.mkdir(exist_ok=True)
        (copy / stray).write_bytes(b"somebody's")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked: what an installer would put into site-packages."""
    target = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def test_the_wheel_holds_one_top_level_name(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names} == {"marrowmap"}


def test_every_module_of_the_tree_is_in_the_wheel_and_no_other(names: set[str]) -> None:
    assert {n for n in names if n.endswith(".py")} == {n for n in files_of_ours() if n.endswith(".py")}


def test_templates_weights_and_type_markers_travel_with_their_modules(names: set[str]) -> None:
    assert files_of_ours() - names == set()


def test_a_patients_file_dropped_into_the_folders_reaches_no_wheel(names: set[str]) -> None:
    assert not [name for name in names if name.endswith((".dcm", ".nii", ".nii.gz", ".npy", ".npz"))]


def run_installed(installed: Path, folder: Path, *arguments: str) -> str:
    """Run Python in a folder with the installed wheel, without the editable install."""
    paths = [str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    command = [sys.executable, "-S", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def crowded_folder(tmp_path: Path) -> Path:
    """A user's folder with modules named as our folders are."""
    for name in FOLDERS:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong module was imported')\n")
    return tmp_path


def test_a_folder_with_its_own_models_py_does_not_get_in_the_way(
    installed: Path, crowded_folder: Path
) -> None:
    code = (
        "import marrowmap.data.frames, marrowmap.models, marrowmap.training, marrowmap.inference;"
        "print(marrowmap.models.__file__)"
    )
    assert run_installed(installed, crowded_folder, "-c", code).startswith(str(installed))


def test_the_command_runs_from_the_wheel(installed: Path, crowded_folder: Path) -> None:
    assert "usage: marrowmap" in run_installed(
        installed, crowded_folder, "-m", "marrowmap.scripts.main", "--help"
    )


def test_our_functions_and_words_travel_to_spawned_processes(installed: Path, crowded_folder: Path) -> None:
    script = crowded_folder / "spawn.py"
    script.write_text(
        "import multiprocessing\n"
        "from marrowmap.data.exam import Sequence\n"
        "from marrowmap.data.skeleton import Region\n"
        "from marrowmap.scripts.main import available_commands\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        commands = pool.apply(available_commands)\n"
        "        words = pool.map(str, [Sequence.T1]) + pool.map(int, [Region.SKULL])\n"
        "    print('simulate' in commands, *words)\n"
    )
    assert run_installed(installed, crowded_folder, str(script)) == "True t1 1"


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git clone")
def test_git_ignores_nothing_of_ours() -> None:
    ours = sorted(name.removeprefix("marrowmap/") for name in files_of_ours())
    ours += ["models/weights/model.safetensors", "models/weights/model.bin", "data/adc.py", "scripts/demo.py"]
    found = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        input="\n".join(ours),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""


@pytest.mark.parametrize("folder", FOLDERS)
def test_type_checkers_find_every_folder_under_our_name(folder: str) -> None:
    link = ROOT / "typings" / "marrowmap" / folder
    if not link.is_symlink():
        pytest.skip("this clone has no symbolic links (Windows without developer mode)")
    assert link.resolve() == ROOT / folder
