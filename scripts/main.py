"""`marrowmap COMMAND ...`: picks the command's module, runs it, turns its errors into one line.

Only the chosen command is imported, so that help and small commands answer at once.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from pathlib import Path

from marrowmap.data.errors import MarrowmapError

COMMANDS = {
    "demo": "simulate one exam, run the main job on it, print the findings",
    "infer": "the main job: a whole-body MRI study in; lesions, burden and stage out",
    "cohort": "thousands of exams: tables, a page, on one machine or a cluster",
    "read": "what was recognised in a study, and why any series was left out",
    "stage": "the clinical rules alone, on a findings file",
    "compare": "match the lesions of two exams; response category",
    "revise": "reject or accept lesions and recompute everything downstream",
    "report": "write the page of an exam again, in English, French or German",
    "simulate": "simulated exams with their truth",
    "realism": "simulated exams beside published figures",
    "train": "train the network",
    "evaluate": "predictions against references",
    "export": "make a bundle of trained weights",
    "calibrate": "what a bundle's probabilities are worth, from exams whose lesions are known",
    "serve": "the DICOM node: receive, infer, send back",
    "bench": "our speed against the usual way",
}

#: Which extra brings a package that the core goes without.
EXTRAS = {
    "mujoco": "simulate",
    "myo_sim": "simulate",
    "trimesh": "simulate",
    "lightning": "train",
    "tensorboard": "train",
    "mlflow": "mlflow",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
    "pynetdicom": "serve",
    "dicomweb_client": "serve",
    "pyarrow": "cohort",
    "ray": "cohort",
}

EXIT_DONE, EXIT_OPTIONS, EXIT_REFUSED, EXIT_INTERRUPTED = 0, 2, 3, 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        0 done, 2 wrong options, 3 refused input (one line on stderr says why). A defect of ours is
        raised, which exits 1 with a traceback.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        print(_help(), file=sys.stderr)
        return EXIT_OPTIONS
    command, rest = words[0], words[1:]
    if command in ("-h", "--help"):
        print(_help())
        return EXIT_DONE
    if command == "--version":
        print(_version())
        return EXIT_DONE
    if command not in available_commands():
        print(f"marrowmap: no command {command!r}; marrowmap --help lists them", file=sys.stderr)
        return EXIT_OPTIONS
    logging.basicConfig(level=logging.ERROR if "--quiet" in rest else logging.WARNING, format="%(message)s")
    return _run(command, rest)


def available_commands() -> list[str]:
    """Return the commands whose module is there, in the order of the help."""
    folder = Path(__file__).parent
    return [name for name in COMMANDS if (folder / f"{name}.py").is_file()]


def _run(command: str, arguments: list[str]) -> int:
    try:
        code: int = import_module(f"marrowmap.scripts.{command}").main(arguments)
        sys.stdout.flush()
        return code
    except MarrowmapError as error:
        return _refuse(str(error))
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _refuse(f"{command} needs the package {error.name}; run: pip install 'marrowmap[{extra}]'")
    except BrokenPipeError:
        # The reader (head, less) has seen enough; without this, Python complains again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _refuse(reason: str) -> int:
    print(f"marrowmap: {' '.join(reason.split())}", file=sys.stderr)
    return EXIT_REFUSED


def _help() -> str:
    lines = [
        "usage: marrowmap COMMAND [OPTIONS]",
        "",
        "Whole-body MRI in; marrow lesions, tumour burden and stage out. For research, not for patient care.",
        "",
        *(f"  {name:<10}{COMMANDS[name]}" for name in available_commands()),
        "",
        "marrowmap COMMAND --help tells more; marrowmap --version names the version.",
    ]
    return "\n".join(lines)


def _version() -> str:
    from importlib.metadata import version

    return f"marrowmap {version('marrowmap')}"


if __name__ == "__main__":
    sys.exit(main())
