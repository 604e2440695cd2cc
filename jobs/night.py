"""One night from manifest to report: what `recall`, `scan` and `demo` have in common."""

from __future__ import annotations

import platform
import shlex
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import progress, session
from jobs.outcome import counts, text_facts, write_report
from jobs.recipes import Recipe, machines_for, match_machine, read_machine, rows_a_task
from model_registry.errors import NightjarError, UsageError
from model_registry.labels import taxonomy
from pipelines.nightly import Machines, nightly_stages
from pipelines.pieces import Pieces
from pipelines.risk.judge import Night, Tally, judge_night
from pipelines.run import hash_contents, look, unsettled
from pipelines.text.night import read_texts, reader_of
from pipelines.text.readings import Readings
from pipelines.text.transcripts import lines_of_night

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


@dataclass
class Meter:
    """What the receipts of a run add up to."""

    contents: int = 0
    frames: int = 0
    video_ms: int = 0
    errors: int = 0
    busy_ms: Counter[str] = field(default_factory=Counter)

    def read(self, receipts: pa.Table) -> int:
        """Add receipts; return how many contents they finish."""
        finished = 0
        for row in receipts.to_pylist():
            self.frames += row["frames"]
            for entry in row["busy"]:
                self.busy_ms[entry["stage"]] += entry["ms"]
            if row["last"]:
                finished += 1
                self.video_ms += row["duration_ms"] or 0
                self.errors += row["error_code"] is not None
        self.contents += finished
        return finished


@dataclass(frozen=True)
class Outcome:
    """What a night left behind."""

    folder: Path
    tally: Tally
    summary: dict[str, Any]


def run_night(
    job: str, heading: str, manifest: pa.Table, recipe: Recipe, folder: Path, day: date | None = None
) -> Outcome:
    """Hash, look, match, judge, report. Run it again after any kill: what is finished is not done again.

    `day` is the one on which licences have to hold, today by default.
    """
    began, day = time.monotonic(), day or datetime.now(UTC).date()
    features = folder / "features"
    _prepare(folder, manifest)
    with session.PeakMemory() as memory, session.ray_up() as resources:
        machines = machines_for(resources, recipe.bundle)
        contents = _hash(manifest, features, recipe)
        pieces_folder = features / recipe.features
        meter = _look(contents, pieces_folder, recipe, machines, resources.get("CPU", 1.0))
        pieces = Pieces(pieces_folder)
        matching = _match(recipe.bank, contents, pieces, resources) if recipe.bank else None
        readings = _read(recipe, folder / "manifest.parquet", contents, pieces, resources)
    matched = matching.matched if matching else None
    night = Night(folder / "manifest.parquet", contents, pieces, recipe.bundle.id, matched, day, readings)
    tally = judge_night(night, recipe.policy, folder)
    summary = _summary(job, recipe, tally, meter, time.monotonic() - began, memory.peak_bytes)
    summary["run"]["day"] = day.isoformat()
    if matching:
        summary["copyright"] = matching.facts()
    if readings:
        summary["text"] = text_facts(readings, tally)
    _log(job, summary, recipe, machines)
    write_report(folder, heading, summary, recipe.policy, tally, night.pieces)
    return Outcome(folder, tally, summary)


def _prepare(folder: Path, manifest: pa.Table) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "manifest.part"
        pq.write_table(manifest, part)
        part.replace(folder / "manifest.parquet")
    except OSError as error:
        raise UsageError(f"output {folder} cannot be written: {error.strerror}") from error


def _hash(manifest: pa.Table, features: Path, recipe: Recipe) -> pa.Table:
    with progress.bar("hashing", manifest.num_rows) as bar:
        known = features / "contents.parquet"
        return hash_contents(manifest, known, recipe.limits, lambda table: bar.advance(table.num_rows))


def _look(contents: pa.Table, folder: Path, recipe: Recipe, machines: Machines, cpus: float) -> Meter:
    meter = Meter()
    todo = unsettled(contents, Pieces(folder))
    stages = nightly_stages(recipe.bundle, recipe.sampling, recipe.limits, machines, str(folder.absolute()))
    with progress.bar("looking", todo.num_rows) as bar:

        def advance(receipts: pa.Table) -> None:
            bar.advance(meter.read(receipts), f"{meter.frames} frames, {meter.errors} errors")

        look(stages, todo, rows_a_task(todo.num_rows, cpus), advance)
    return meter


def _match(bank: Path, contents: pa.Table, pieces: Pieces, resources: Mapping[str, float]) -> Matching:
    from jobs.matching import match  # imports Lance, which a run without a bank does without

    return match(bank, contents, pieces, match_machine(resources))


def _read(
    recipe: Recipe, manifest: Path, contents: pa.Table, pieces: Pieces, resources: Mapping[str, float]
) -> Readings | None:
    """Read what is said, shown and written, with the recipe's lexicons and text models."""
    if recipe.lexicons is None:
        return None
    texts = list(dict.fromkeys(line.text for _, _, line in lines_of_night(manifest, contents, pieces)))
    readings = Readings.made_by(reader_of(recipe.bundle, recipe.lexicons), pieces.folder / "text")
    with progress.bar("reading", len(texts)) as bar:
        return read_texts(texts, recipe.bundle, recipe.lexicons, readings, read_machine(resources), bar.advance)


def _summary(job: str, recipe: Recipe, tally: Tally, meter: Meter, took_s: float, peak_bytes: int) -> dict[str, Any]:
    hours = meter.video_ms / 3.6e6
    return {
        "run": {
            "job": job,
            "started_at": datetime.fromtimestamp(time.time() - took_s, UTC).isoformat(timespec="seconds"),
            "seconds": round(took_s, 3),
            "command": shlex.join(["nightjar", *sys.argv[1:]]),
            "features": recipe.features,
        },
        "counts": counts(tally) | {"contents_looked_at": meter.contents},
        "throughput": {
            "videos_per_s": round(meter.contents / took_s, 3),
            "hours_per_hour": round(hours * 3600 / took_s, 3),
            "frames": meter.frames,
            "hours": round(hours, 6),
        },
        "busy_s": {stage: round(ms / 1000, 3) for stage, ms in meter.busy_ms.most_common()},
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
