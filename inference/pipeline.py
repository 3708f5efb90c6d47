"""The main job, whole: `Study -> Exam -> ModelInput -> Segmentation -> Findings -> Report`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from marrowmap.data.errors import ReportFileError
from marrowmap.data.exam import Sequence
from marrowmap.data.model_input import ModelInput, to_model_input
from marrowmap.data.read import read_exam_and_study
from marrowmap.data.selection import Choices
from marrowmap.data.sources import SourceSeries
from marrowmap.inference.assemble import build_report
from marrowmap.inference.clinical import ClinicalInput, read_clinical
from marrowmap.inference.describe import FindingSettings, describe
from marrowmap.inference.dicom_out.attach import with_sources, write_documents
from marrowmap.inference.findings import Findings
from marrowmap.inference.forecast import planned_memory_mb, planned_seconds, seconds_a_window
from marrowmap.inference.measure import channel
from marrowmap.inference.report.pictures import ReportImages
from marrowmap.inference.report.write import LabelledMap, write_outputs
from marrowmap.inference.response.exam import kept_for_comparison
from marrowmap.inference.response.files import add_response, require_prior, write_trend
from marrowmap.inference.revise import write_images
from marrowmap.inference.segment import SegmentSettings, segment
from marrowmap.models.bundle import Bundle, load_bundle
from marrowmap.models.engine import Engine, open_engine, usable_threads
from marrowmap.models.windows import plan_windows

logger = logging.getLogger(__name__)

Network = tuple[Bundle, Engine]


@dataclass(frozen=True, kw_only=True)
class InferSettings:
    """How `infer` works; recorded in the report.

    Attributes:
        clinical: Clinical file (YAML or JSON); None leaves every clinical field unknown.
        prior: What `infer` wrote for an earlier exam of the same person; the response is measured against it.
        weights: Folder of a bundle; None for the shipped one.
        device: `auto`, `cpu`, `cuda` or `cuda:n`.
        threads: CPU threads of the engine; None for all.
        series: Series that the user names for a sequence (DICOM only).
        study_uid: Which study, where a folder holds several.
        dicom: Write the DICOM objects (segmentations, structured report, PDF, projection) of a DICOM study.
        dicom_maps: Among them ADC and lesion probability as parametric maps.
        dicom_rtstruct: Among them the lesions as a structure set.
        windows: How the exam is cut into windows.
        findings: Every cut-off between the network's maps and the findings.
    """

    clinical: Path | None = None
    prior: Path | None = None
    weights: Path | None = None
    device: str = "auto"
    threads: int | None = None
    series: Choices = field(default_factory=Choices)
    study_uid: str = ""
    dicom: bool = True
    dicom_maps: bool = False
    dicom_rtstruct: bool = False
    windows: SegmentSettings = field(default_factory=SegmentSettings)
    findings: FindingSettings = field(default_factory=FindingSettings)


class Stopwatch:
    """Seconds by stage, in the order of the stages."""

    def __init__(self) -> None:
        """Start with no stage."""
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage and log its end."""
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 3)
        logger.info("%s: %.1f s", name, self.seconds[name])


def infer(
    study: Path, out: Path, settings: InferSettings | None = None, *, network: Network | None = None
) -> dict[str, Any]:
    """Find, measure and stage the lesions of a study and write everything into a folder.

    What can be refused early is refused first: clinical file, weights and device, then the study.

    Args:
        study: DICOM folder, zip, or a folder of NIfTI files named by sequence.
        out: Folder to make or to refresh; written whole or not at all.
        settings: How.
        network: What `open_network` returned, for many exams in one process; None opens it here.

    Returns:
        The report as written to `report.json`. Nothing found is a normal result.

    Raises:
        MarrowmapError: If the study, clinical file, weights or device cannot be used; one clear line.
    """
    settings = settings or InferSettings()
    watch = Stopwatch()
    _refuse_file(out)
    clinical = read_clinical(settings.clinical) if settings.clinical else ClinicalInput()
    if settings.prior:
        require_prior(settings.prior)
    with watch.stage("load_network"):
        bundle, engine = network or open_network(settings)
    with watch.stage("read_study"):
        exam, opened = read_exam_and_study(study, settings.series, settings.study_uid)
        exam, sources = with_sources(exam, opened, settings.dicom)
    with watch.stage("prepare"):
        model_input = to_model_input(exam, bundle.input)
    with watch.stage("segment"):
        segmentation = segment(model_input, engine, settings.windows)
    with watch.stage("describe"):
        findings = describe(
            segmentation,
            model_input,
            exam,
            lesion_threshold=bundle.lesion_threshold,
            calibration=bundle.calibration,
            settings=settings.findings,
        )
    run = {"program_version": version("marrowmap"), "settings": recorded(settings), "seconds": watch.seconds}
    report = build_report(findings, exam, model_input, model_json(bundle, engine), clinical, run)
    if settings.prior:
        with watch.stage("compare"):
            add_response(report, settings.prior, findings, model_input)
    with watch.stage("write"):
        write_all(out, report, findings, model_input, sources, settings)
    report["run"]["seconds"] = dict(watch.seconds)
    return report


def _documents(
    report: Mapping[str, Any],
    findings: Findings,
    images: ReportImages,
    sources: tuple[SourceSeries, ...],
    settings: InferSettings,
) -> Callable[[Path], None]:
    """Return what writes the PDF and the DICOM objects into the folder of the outputs."""
    return partial(
        write_documents,
        report=report,
        findings=findings,
        signal=images.dwi_high,
        sources=sources,
        with_maps=settings.dicom_maps,
        with_structure_set=settings.dicom_rtstruct,
    )


def open_network(settings: InferSettings) -> Network:
    """Return the weights that the settings name and an engine that is ready to run them.

    Raises:
        MarrowmapError: If the weights or the device cannot be used.
    """
    bundle = load_bundle(settings.weights)
    return bundle, open_engine(bundle, settings.device, settings.threads)


def plan(study: Path, settings: InferSettings | None = None) -> dict[str, Any]:
    """Return what `infer` would do with a study and need for it, without writing a file.

    A few windows are run, to know how fast the network is on this machine.

    Args:
        study: DICOM folder, zip, or a folder of NIfTI files.
        settings: As for `infer`.

    Raises:
        MarrowmapError: As `infer` would.
    """
    settings = settings or InferSettings()
    if settings.clinical:
        read_clinical(settings.clinical)
    bundle, engine = open_network(settings)
    watch = Stopwatch()
    with watch.stage("read_study"):
        exam, opened = read_exam_and_study(study, settings.series, settings.study_uid)
    with watch.stage("prepare"):
        model_input = to_model_input(exam, bundle.input)
    starts = plan_windows(model_input.body, bundle.patch_size, settings.windows.overlap)
    windows = len(starts) * (2 if settings.windows.is_mirrored else 1)
    window_s = seconds_a_window(model_input, engine, starts, settings.threads or usable_threads())
    read_s, prepare_s = watch.seconds["read_study"], watch.seconds["prepare"]
    has_objects = settings.dicom and opened is not None
    return {
        "sequences": sorted(str(sequence) for sequence in exam.volumes),
        "warnings": [warning.text for warning in exam.warnings],
        "grid": {"shape": list(model_input.grid.shape), "spacing_mm": list(model_input.grid.spacing_mm)},
        "windows": windows,
        "engine": engine.name,
        "device": engine.device,
        "peak_memory_mb": planned_memory_mb(exam, model_input),
        "seconds": round(planned_seconds(read_s, prepare_s, windows, window_s, is_dicom=has_objects), 1),
    }


def model_json(bundle: Bundle, engine: Engine) -> dict[str, Any]:
    """Return the `model` object of the report."""
    return {
        "name": bundle.name,
        "version": bundle.version,
        "sha256": bundle.sha256,
        "engine": engine.name,
        "device": engine.device,
        "trained_on": bundle.trained_on,
        "intended_use": bundle.intended_use,
        "lesion_threshold": bundle.lesion_threshold,
    }


def report_images(findings: Findings, model_input: ModelInput) -> ReportImages:
    """Return the volumes that the report shows, on the common grid."""
    return ReportImages(
        dwi_high=model_input.channel(Sequence.DWI_HIGH),
        t1=channel(model_input, Sequence.T1),
        stir=channel(model_input, Sequence.STIR),
        lesion_labels=findings.lesion_labels,
        spacing_mm=findings.grid.spacing_mm,
    )


def output_maps(findings: Findings) -> dict[str, LabelledMap]:
    """Return the maps to write, by file stem; no ADC file where there is no ADC."""
    affine = findings.grid.affine_ras_mm
    maps: dict[str, LabelledMap] = {
        "lesions": (findings.lesion_labels, affine),
        "regions": (findings.regions, affine),
        "lesion_probability": (findings.lesion_probability, affine),
    }
    if findings.adc is not None:
        maps["adc"] = (findings.adc, affine)
    return maps


def write_all(
    out: Path,
    report: dict[str, Any],
    findings: Findings,
    model_input: ModelInput,
    sources: tuple[SourceSeries, ...],
    settings: InferSettings,
) -> None:
    """Write report, pictures, maps, what a later comparison needs, the trend and the documents."""
    images = report_images(findings, model_input)
    kept = partial(write_images, images=images, extra=kept_for_comparison(model_input))
    documents = _documents(report, findings, images, sources, settings)
    also = [kept, partial(write_trend, report=report), documents]
    write_outputs(out, report, images, output_maps(findings), also=also)


def recorded(settings: InferSettings) -> dict[str, Any]:
    """Return the settings for the report; of paths the last name only, a folder may hold a person's name."""
    return {
        "clinical": settings.clinical is not None,
        "prior": settings.prior is not None,
        "weights": settings.weights.name if settings.weights else None,
        "device": settings.device,
        "threads": settings.threads,
        "series": settings.series,
        "dicom": settings.dicom,
        "windows": settings.windows,
        "findings": settings.findings,
    }


def _refuse_file(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ReportFileError(f"need a folder to write to, found the file {out.name}; name another")
