"""One night from manifest to report: what `recall`, `scan` and `demo` have in common."""

from __future__ import annotations

import json
import platform
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jobs import progress, session
from jobs.looking import Looked, Looking, both_passes, keep_by_keyframes, keyframe_facts
from jobs.outcome import counts, summary_line, text_facts, write_report
from jobs.recipes import Recipe, match_machine, read_machine, spread
from jobs.watching.watch import Watch
from model_registry.errors import NightjarError, UsageError
from model_registry.labels import taxonomy
from pipelines.clusters.members import Membership, memberships
from pipelines.local.pool import foresee
from pipelines.lock import lock
from pipelines.nightly import Machines
from pipelines.passes import Passes
from pipelines.pieces import Pieces, sweep
from pipelines.places import Place, exists, make, read_bytes, write_table, write_text
from pipelines.risk.judge import Night, Tally, judge_night
from pipelines.run import hash_contents, refuse_unshared
from pipelines.text.neighbours import texts_of
from pipelines.text.night import read_texts, reader_of, reading_stage
from pipelines.text.readings import Readings
from pipelines.text.transcripts import videos_of_night

if TYPE_CHECKING:
    from jobs.matching import Matching

LIBRARIES = (
    "nightjar",
    "ray",
    "torch",
    "torchaudio",
    "mlflow",
    "decord",
    "av",
    "onnxruntime",
    "open-clip-torch",
    "pdqhash",
    "pylance",
    "faiss-cpu",
    "ctranslate2",
    "faster-whisper",
    "rapidocr",
    "hyperscan",
)


@dataclass(frozen=True)
class Outcome:
    """What a night left behind."""

    folder: Place
    tally: Tally
    summary: dict[str, Any]

    def say(self) -> None:
        """How the run went, in one line on standard error."""
        progress.say(summary_line(self.summary))


@dataclass(frozen=True)
class How:
    """How a night is run again, or beside another."""

    day: date | None = None  # on which licences have to hold, today by default
    retry_failed: bool = False  # look again at what ended in an error
    wait: bool = False  # for a run of the same night, instead of refusing
    show: Callable[[Place, Tally], None] | None = None  # verdicts, as soon as they are written


def run_night(
    job: str, heading: str, manifest: pa.Table, recipe: Recipe, folder: Place, how: How | None = None
) -> Outcome:
    """Hash, look, match, read, judge, report. Run it again after any kill: what is finished is not done again."""
    how = how or How()
    run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
    _prepare(folder)
    with lock(folder, job, wait=how.wait), Watch(folder, job, run, heading, versions(recipe)) as watch:
        return _run_night(watch, heading, manifest, recipe, how)


def _run_night(watch: Watch, heading: str, manifest: pa.Table, recipe: Recipe, how: How) -> Outcome:
    began, day, folder = time.monotonic(), how.day or datetime.now(UTC).date(), watch.folder
    features, pieces_folder = folder / "features", folder / "features" / recipe.features
    write_table(folder / "manifest.parquet", manifest)
    sweep(pieces_folder)
    with session.PeakMemory() as memory, session.workers() as resources:
        refuse_unshared(folder)
        machines = as_begun(pieces_folder, spread(resources, recipe.bundle, manifest.num_rows))
        contents = _hash(watch, manifest, features, recipe)
        cpus = resources.get("CPU", 1.0)
        readings = _readings(recipe, pieces_folder, resources)
        looking = Looking(watch, manifest, contents, features, recipe, machines, cpus, how.retry_failed)
        pieces = looking.run()
        with watch.step("matching", 0):
            matching = _match(recipe.bank, contents, pieces, resources) if recipe.bank else None
        clusters, cluster_facts = _cluster(watch, recipe, contents, pieces)
        readings = _read(watch, recipe, contents, pieces, readings, resources)
    matched = matching.matched if matching else None
    if matching:
        watch.meter.busy_ms["verify"] += round(matching.verifying_s * 1000)
    night = Night(folder / "manifest.parquet", contents, pieces, recipe.bundle.id, matched, day, readings, clusters)
    with watch.step("judging", manifest.num_rows) as step:
        tally = judge_night(night, recipe.policy, folder, advance=step.advance)
    if how.show:
        how.show(folder, tally)
    summary = _summary(watch, looking.looked, recipe, tally, time.monotonic() - began, memory.peak_bytes)
    summary["run"]["day"] = day.isoformat()
    summary["machine"] = {**_machine(resources), "machines": asdict(machines)}
    keep_by_keyframes(folder / "keyframes.parquet", contents, pieces)
    if isinstance(pieces, Passes):
        summary["keyframes"] = keyframe_facts(recipe, pieces, watch.steps_s)
    if matching:
        summary["copyright"] = matching.facts()
    if cluster_facts:
        summary["clusters"] = cluster_facts
    if readings:
        summary["text"] = text_facts(readings, tally)
    with watch.step("reporting", 0):
        _log(watch.job, summary, recipe, machines)
        write_report(folder, heading, summary, recipe.policy, tally, night.pieces)
    watch.summary = summary_line(summary)
    return Outcome(folder, tally, summary)


def as_begun(folder: Place, machines: Machines) -> Machines:
    """Let a night go on with the model threads that it began with, however large the cluster is by now.

    A sum of floats over another number of threads is another float, and a resumed night has to come out as undisturbed.
    """
    known = folder / "threads.json"
    if exists(known):
        return replace(machines, model_threads=int(json.loads(read_bytes(known))["model_threads"]))
    make(folder)
    write_text(known, json.dumps({"model_threads": machines.model_threads}))
    return machines


def _prepare(folder: Place) -> None:
    try:
        make(folder)
    except OSError as error:
        raise UsageError(f"output {folder} cannot be written: {error.strerror}") from error


def _machine(resources: Mapping[str, float]) -> dict[str, Any]:
    nodes = sum(name.startswith("node:") and not name.startswith("node:__") for name in resources)
    return {"cpus": resources.get("CPU", 0.0), "gpus": resources.get("GPU", 0.0), "nodes": nodes}


def _hash(watch: Watch, manifest: pa.Table, features: Place, recipe: Recipe) -> pa.Table:
    with watch.step("hashing", manifest.num_rows) as step:
        known = features / "contents.parquet"
        contents = hash_contents(manifest, known, recipe.limits, lambda table: step.advance(table.num_rows))
    watch.ids(contents)
    return contents


def _match(bank: Path, contents: pa.Table, pieces: Pieces, resources: Mapping[str, float]) -> Matching:
    from jobs.matching import match  # imports Lance, which a run without a bank does without

    return match(bank, contents, pieces, match_machine(resources))


def _cluster(
    watch: Watch, recipe: Recipe, contents: pa.Table, pieces: Pieces
) -> tuple[dict[str, Membership], dict[str, Any]]:
    """Find reposts where the recipe asks for it: the cluster of each upload, and what a summary says of them."""
    if recipe.clusters is None:
        return {}, {}
    from jobs import clustering  # imports torch

    with watch.step("clustering", 0):
        space = clustering.space_of(recipe.bundle.tower.source, recipe.bank)
        night = clustering.uploads_of(watch.folder.absolute(), pieces, contents)
        earlier = clustering.History(recipe.clusters).of(night.folder, recipe.features)
        found, facts = clustering.cluster(night, earlier, space)
    return memberships(found.rows, night.name), facts


def _readings(recipe: Recipe, features: Place, resources: Mapping[str, float]) -> Readings | None:
    """What is read already, of a recipe that reads; whoever looks may open meanwhile what will read the rest."""
    if recipe.lexicons is None:
        return None
    readings = Readings.made_by(reader_of(recipe.bundle, recipe.lexicons), features / "text")
    foresee(reading_stage(recipe.bundle, recipe.lexicons, readings, read_machine(resources)))
    return readings


def _read(
    watch: Watch,
    recipe: Recipe,
    contents: pa.Table,
    pieces: Pieces,
    readings: Readings | None,
    resources: Mapping[str, float],
) -> Readings | None:
    """Read what is said, shown and written, with the recipe's lexicons and text models."""
    if recipe.lexicons is None or readings is None:
        return None
    videos = videos_of_night(watch.folder / "manifest.parquet", contents, pieces)
    texts = list(dict.fromkeys(text for _, _, lines in videos for text in texts_of(lines)))
    with watch.step("reading", len(texts)) as step:
        return read_texts(texts, recipe.bundle, recipe.lexicons, readings, read_machine(resources), step.advance)


def _summary(
    watch: Watch, looked: Looked, recipe: Recipe, tally: Tally, took_s: float, peak_bytes: int
) -> dict[str, Any]:
    seen = watch.meter.facts() | looked.facts()
    return {
        "run": {
            "job": watch.job,
            "id": watch.run,
            "started_at": datetime.fromtimestamp(time.time() - took_s, UTC).isoformat(timespec="seconds"),
            "seconds": round(took_s, 3),
            "command": watch.command,
            "features": recipe.features,
        },
        "counts": counts(tally) | {"contents_looked_at": seen["videos"]},
        "throughput": {
            "videos_per_s": round(seen["videos"] / took_s, 3),
            "hours_per_hour": round(seen["hours"] * 3600 / took_s, 3),
            "frames": seen["frames"],
            "hours": seen["hours"],
        },
        "steps_s": both_passes(watch.steps_s),
        "busy_s": seen["busy_s"],
        "peak_memory_mb": round(peak_bytes / 1e6),
        "versions": versions(recipe),
    }


def versions(recipe: Recipe) -> dict[str, Any]:
    """Everything that could change a result."""
    return {
        "bundle": recipe.bundle.id,
        "policy": recipe.policy.id,
        "taxonomy": taxonomy().version,
        "sampling": recipe.sampling.id,
        "lexicons": recipe.lexicons.id if recipe.lexicons else None,
        "models": [ref.source for ref in recipe.bundle.models],
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def _log(job: str, summary: dict[str, Any], recipe: Recipe, machines: Machines) -> None:
    """Keep the run in MLflow; a tracking store that is down costs a warning and never the night."""
    metrics = {f"videos/{name}": n for name, n in summary["counts"].items() if isinstance(n, int)}
    metrics |= {f"errors/{code}": n for code, n in summary["counts"]["errors"].items()}
    metrics |= dict(summary["throughput"])
    metrics |= {f"busy_s/{stage.replace('+', '_')}": s for stage, s in summary["busy_s"].items()}
    metrics |= {"peak_memory_mb": summary["peak_memory_mb"], "seconds": summary["run"]["seconds"]}
    params = {
        **asdict(machines),
        **asdict(recipe.sampling),
        **asdict(recipe.limits),
        "command": summary["run"]["command"],
    }
    tags = {name: str(value) for name, value in summary["versions"].items()}
    try:
        summary["run"]["mlflow_run"] = session.log_run(job, params, metrics, tags)
    except NightjarError as error:
        progress.say(f"warning: {error}")
