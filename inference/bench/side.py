"""One side of the bench in a process of its own: `python -m marrowmap.inference.bench.side TASK`.

Packages are loaded inside the stages: a side must not pay, in seconds or memory, for what only the other
one needs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from marrowmap.inference.bench.meter import Meter
from marrowmap.inference.bench.task import MEASURED, Task, brought_to, source_grid, task_of, write_mask


def run_side(task: Task) -> None:
    """Do one task and leave `measured.json` (and the mask) in its folder; a refusal is left there too."""
    from marrowmap.data.errors import MarrowmapError

    try:
        measured = {"ours": run_ours, "usual": run_usual, "plan": run_plan}[task.side](task)
    except MarrowmapError as error:
        measured = {"refused": str(error)}
    (task.out / MEASURED).write_text(json.dumps(measured), encoding="utf-8")


def run_ours(task: Task) -> dict[str, Any]:
    """Do what `infer` does, stage by stage, and bring the mask to the images' grid besides."""
    meter = Meter()
    with meter.stage("start"):
        from importlib.metadata import version

        from marrowmap.data.model_input import to_model_input
        from marrowmap.data.read import read_exam_and_study
        from marrowmap.inference import pipeline
        from marrowmap.inference.assemble import build_report
        from marrowmap.inference.clinical import ClinicalInput
        from marrowmap.inference.describe import describe
        from marrowmap.inference.dicom_out.attach import with_sources
        from marrowmap.inference.segment import segment
        from marrowmap.inference.source_grid import lesion_mask_on

        settings = pipeline.InferSettings(weights=task.weights, device="cpu", threads=task.threads)
        bundle, engine = pipeline.open_network(settings)
    with meter.stage("read"):
        exam, study = read_exam_and_study(task.study)
        exam, sources = with_sources(exam, study)
    exam = brought_to(exam, task.size)
    with meter.stage("resample"):
        model_input = to_model_input(exam, bundle.input)
    with meter.stage("windows"):
        segmentation = segment(model_input, engine, settings.windows)
    with meter.stage("export"):
        target = source_grid(exam)
        mask = lesion_mask_on(
            segmentation.lesion_probability, segmentation.grid, target, bundle.lesion_threshold
        )
    with meter.stage("components"):
        findings = describe(
            segmentation,
            model_input,
            exam,
            lesion_threshold=bundle.lesion_threshold,
            calibration=bundle.calibration,
        )
    with meter.stage("report"):
        run = {
            "program_version": version("marrowmap"),
            "settings": pipeline.recorded(settings),
            "seconds": {name: round(cost.seconds, 3) for name, cost in meter.costs.items()},
        }
        network = pipeline.model_json(bundle, engine)
        report = build_report(findings, exam, model_input, network, ClinicalInput(), run)
        pipeline.write_all(task.out / "findings", report, findings, model_input, sources, settings)
    write_mask(task.out, mask, target)
    return {"stages": meter.as_json(), "engine": engine.name, "lesions": len(findings.lesions)}


def run_usual(task: Task) -> dict[str, Any]:
    """Do the same work the usual way, from the same reading of the study."""
    meter = Meter()
    with meter.stage("start"):
        import torch

        from marrowmap.data.read import read_exam
        from marrowmap.inference.bench import usual
        from marrowmap.models.bundle import load_bundle

        torch.set_num_threads(task.threads)
        bundle = load_bundle(task.weights)
    with meter.stage("read"):
        exam = read_exam(task.study)
    exam = brought_to(exam, task.size)
    with meter.stage("resample"):
        model_input = usual.resampled_input(exam, bundle.input)
    with meter.stage("windows"):
        logits = usual.window_logits(model_input, bundle)
    with meter.stage("export"):
        target = source_grid(exam)
        mask, regions, lesion = usual.exported(logits, model_input.grid, target, bundle.lesion_threshold)
    with meter.stage("components"):
        kept, rows = usual.listed(mask, target, usual.MINIMUM_VOLUME_ML)
    with meter.stage("report"):
        maps = {"lesions": kept.astype("uint8"), "regions": regions, "lesion_probability": lesion}
        usual.save(task.out, maps, target.affine_ras_mm, rows)
    write_mask(task.out, mask, target)
    return {"stages": meter.as_json(), "engine": f"torch {torch.__version__}", "lesions": len(rows)}


def run_plan(task: Task) -> dict[str, Any]:
    """Return what `infer --dry-run` foretells."""
    from marrowmap.inference.pipeline import InferSettings, plan

    return plan(task.study, InferSettings(weights=task.weights, device="cpu", threads=task.threads))


def main(words: list[str]) -> None:
    """Run the task that the first word holds."""
    task = task_of(words[0])
    Path(task.out).mkdir(parents=True, exist_ok=True)
    run_side(task)


if __name__ == "__main__":
    main(sys.argv[1:])
