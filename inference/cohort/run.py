"""A cohort, whole: list, read, compare, tables, page. Stopped anywhere, the same command goes on."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from marrowmap.data.errors import CohortError
from marrowmap.data.whole_file import write_whole
from marrowmap.inference.cohort.analysis import open_pipeline
from marrowmap.inference.cohort.clinical_table import ClinicalTable, read_clinical_table
from marrowmap.inference.cohort.content import stamp_of
from marrowmap.inference.cohort.ledger import FAILED, Ledger, Row
from marrowmap.inference.cohort.listing import StudySource, list_studies, web_settings
from marrowmap.inference.cohort.longitudinal import comparisons, linked_columns, persons
from marrowmap.inference.cohort.page import write_page
from marrowmap.inference.cohort.pools import open_pool
from marrowmap.inference.cohort.progress import PROGRESS_FILE, Progress
from marrowmap.inference.cohort.pseudonym import Pseudonyms, read_key
from marrowmap.inference.cohort.settings import CohortSettings
from marrowmap.inference.cohort.tables import write_tables
from marrowmap.inference.cohort.work import ExamTask, OpenAnalysis, Task, WorkPlan
from marrowmap.inference.findings_json import to_json
from marrowmap.inference.folder_lock import FolderInUse, hold_folder
from marrowmap.models.bundle import load_bundle

logger = logging.getLogger(__name__)

COHORT_FILE = "cohort.json"
#: What a killed process left half done is removed when no orphan of it can still be at work (s).
_LEFTOVER_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which weights, in words.

    Attributes:
        name: For the tables: name, version, hash.
        notes: For the page: what they learnt from, what they are for.
    """

    name: str
    notes: tuple[str, ...] = ()


@dataclass(kw_only=True)
class _Exams:
    """What is known of every study of the list.

    Attributes:
        keys: Key by stamp, of what has ended.
        tasks: What is still to be done.
    """

    keys: dict[str, str] = field(default_factory=dict)
    tasks: list[ExamTask] = field(default_factory=list)


def run_cohort(
    where: str,
    out: Path,
    settings: CohortSettings,
    *,
    open_analysis: OpenAnalysis | None = None,
    model: Model | None = None,
    say: Callable[[str], None] = lambda words: None,
) -> dict[str, Any]:
    """Read every exam of a cohort and write ledger, tables and page.

    Args:
        where: Folder, list or archive, see `list_studies`.
        out: Folder of the cohort; what is done there already is not done again.
        settings: How.
        open_analysis: Opens what reads an exam; None for the pipeline. Travels to the workers.
        model: Which weights that is; None asks the bundle.
        say: Takes lines for a person.

    Returns:
        Counts: `exams`, `by_state`, `persons`, `rows` by table, `repeated` studies of the list.

    Raises:
        MarrowmapError: If the cohort cannot start or go on. An exam that cannot be read is a row, no error.
    """
    clinical = read_clinical_table(settings.clinical) if settings.clinical else ClinicalTable()
    model = model or model_of(settings)
    with _locked(out):
        progress = Progress(out / PROGRESS_FILE, say=say)
        progress.write()
        names = Pseudonyms(_checked_key(out, settings))
        run = run_of(settings, model)
        sources = list_studies(where, settings)
        web = web_settings(sources[0].place, settings) if sources[0].is_remote else None
        plan = WorkPlan(
            out=out.resolve(), run=run, model=model.name, key=names.key, clinical=clinical, web=web,
        )  # fmt: skip
        ledger = Ledger(plan.out, run)
        _remove_leftovers(plan.out)
        exams = _look(sources, ledger, names, clinical)
        pool = partial(open_pool, plan, open_analysis or partial(open_pipeline, settings.infer), settings)
        try:
            found = _work(exams, len(sources), ledger, settings, progress, pool)
            people = persons(ledger, found)
            rows = _write(plan.out, ledger, found, people, settings, model)
        except BaseException:
            progress.write(phase="stopped")
            raise
        if not settings.keep_outputs:
            shutil.rmtree(plan.out / "outputs", ignore_errors=True)
        progress.write(phase="done")
        return rows | {"persons": len(people), "repeated": len(sources) - len(found)}


def model_of(settings: CohortSettings) -> Model:
    """Return which weights the settings name.

    Raises:
        BundleError: If there are none.
    """
    bundle = load_bundle(settings.weights)
    name = f"{bundle.name} {bundle.version} {bundle.sha256[:16]}"
    return Model(name=name, notes=(f"Weights trained on {bundle.trained_on}.", bundle.intended_use))


def run_of(settings: CohortSettings, model: Model) -> str:
    """Return a hash of all that decides what an exam's row says, but for the exam.

    Device and number of workers are not in it: a cohort begun on one machine goes on on another.
    """
    decisive = {
        "model": model.name,
        "windows": to_json(settings.windows),
        "findings": to_json(settings.findings),
        "program": version("marrowmap"),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def _look(
    sources: Iterable[StudySource], ledger: Ledger, names: Pseudonyms, clinical: ClinicalTable
) -> _Exams:
    """Look at every study from outside: known ones are not opened again."""
    exams, table = _Exams(), clinical.digest_words
    for source in sources:
        stamp = stamp_of(source)
        name = names.of("stamp", stamp.digest, table)
        known = ledger.known(name)
        if known is not None and known[1] != FAILED and ledger.read(known[0]) is not None:
            exams.keys[name] = known[0]
        else:
            exams.tasks.append(ExamTask(source=source, stamp=name, length=stamp.length))
    return exams


def _work(
    exams: _Exams,
    total: int,
    ledger: Ledger,
    settings: CohortSettings,
    progress: Progress,
    make_pool: Callable[[], Any],
) -> list[str]:
    """Read what is to be read, compare what is to be compared; return every exam's key once."""
    progress.start("read", total, skipped=total - len(exams.tasks))
    pool = make_pool() if exams.tasks else None
    try:
        if pool:
            # The clocks start when the network is open: it would count as a slow first exam.
            progress.start("read", total, skipped=total - len(exams.tasks))
            for task, outcome in pool.run(exams.tasks):
                exams.keys[task.stamp] = outcome.key
                progress.end("known" if outcome.is_known else outcome.state, pool.running)
        keys = sorted(set(exams.keys.values()))
        tasks: list[Task] = list(comparisons(ledger, persons(ledger, keys))) if settings.compare else []
        if tasks:
            pool = pool or make_pool()
            progress.start("compare", len(tasks))
            for _, outcome in pool.run(tasks):
                progress.end(outcome.state, pool.running)
    finally:
        if pool:
            pool.close()
    return keys


def _write(
    out: Path, ledger: Ledger, keys: list[str], people: list[Any], settings: CohortSettings, model: Model
) -> dict[str, Any]:
    """Write tables and page; return their counts."""
    columns = linked_columns(ledger, people, is_compared=settings.compare)
    states: Counter[str] = Counter()

    def read(key: str) -> Row:
        row = ledger.read(key)
        if row is None:
            raise CohortError(f"the ledger lost an exam ({key[:8]}); start again, it is read anew")
        return {**row, "exam": {**row["exam"], **columns.get(key, {})}}

    def counted(key: str) -> Row:
        row = read(key)
        states[row["state"]] += 1
        return row

    counts = write_tables(out, keys, counted)
    write_page(out, map(read, keys), model.name, model.notes, are_outputs_kept=settings.keep_outputs)
    return {"exams": len(keys), "by_state": dict(sorted(states.items())), "rows": counts}


def _checked_key(out: Path, settings: CohortSettings) -> bytes:
    """Return the key, the same as at the first run: two keys would make two persons of one.

    Raises:
        CohortError: If it is another.
    """
    key = read_key(out, settings.key_file)
    check, path = Pseudonyms(key).of("check"), out / COHORT_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["key_check"]
    except (OSError, ValueError, KeyError, TypeError):
        write_whole(path, json.dumps({"format": "marrowmap-cohort/1", "key_check": check}) + "\n")
        return key
    if found != check:
        raise CohortError(f"{out.name} was begun with another key; name that with --key_file, or another OUT")
    return key


def _locked(out: Path) -> closing[IO[str]]:
    """Return the lock of a cohort's folder, which is made if there is none.

    Raises:
        CohortError: If another process uses it, or it cannot be made.
    """
    try:
        return closing(hold_folder(out))
    except FolderInUse:
        raise CohortError(f"another marrowmap works in {out.name}; wait for it or name another") from None
    except OSError as error:
        raise CohortError(f"cannot use the folder {out.name}: {error.strerror}; name another") from None


def _remove_leftovers(out: Path) -> None:
    """Remove what a process that was killed long ago left half done."""
    before = time.time() - _LEFTOVER_S
    for folder in (*out.glob("scratch/*"), *out.glob("outputs/*/.*.partial")):
        try:
            if folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # gone meanwhile
            continue
