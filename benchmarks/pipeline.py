"""Speed of light: a night's looking against the sum of its stages, each run bare on the same cores.

Bare means a process a core, each with its share of the contents through one stage after the other, nothing waiting for
anything (`benchmarks/lights/stages.py`). Both begin with nothing started: processes, imports and the loading of models
are in both.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from benchmarks.lights.stages import Share
from benchmarks.registry import Chart, Result
from benchmarks.videos import many
from jobs.recipes import rows_a_task, spread
from jobs.session import workers
from model_registry.bundles import PinnedBundle, bundle_named, pin
from model_registry.errors import NightjarError
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import SOURCE, Machines, nightly_stages
from pipelines.run import look
from pipelines.stage import Stage

VIDEOS = 100
LIMITS = Limits()
SEEING = ("speech", "ocr", "text")  # left out of the second measurement: what these cost hides all else


@dataclass(frozen=True)
class Night:
    """What is looked at, and with what."""

    contents: pa.Table
    bundle: PinnedBundle
    machines: Machines
    scratch: Path

    def stages(self, name: str) -> tuple[Stage, ...]:
        """A night's stages, over features in a folder of their own."""
        folder = self.scratch / name
        folder.mkdir()
        sampling = Sampling(frame_side=self.bundle.frame_side)
        return tuple(nightly_stages(self.bundle, sampling, LIMITS, self.machines, str(folder)))


@dataclass(frozen=True)
class Looked:
    """How long a night's looking took, and how long its stages were at work."""

    wall_s: float
    busy_s: Counter[str]


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Alternate the bare stages and the pipeline over the same contents, with all models and with those that see."""
    lite = bundle_named("lite")
    with workers() as resources:  # and no longer: kept engines would start in no time
        pass
    metrics: dict[str, list[float]] = {}
    charts, notes = [], []
    with tempfile.TemporaryDirectory() as folder:
        contents = _contents(many(videos, VIDEOS, Path(folder) / "videos"))
        for name, models in (("all", pin(lite)), ("seeing", pin(lite.without(*SEEING)))):
            machines = spread(resources, models, contents.num_rows)
            (scratch := Path(folder) / name).mkdir()
            night = Night(contents, models, machines, scratch)
            pairs = [(_bare(night, turn), _looked(night, turn, resources["CPU"])) for turn in range(repeat)]
            metrics |= _metrics(name, pairs)
            charts.append(_chart(name, pairs))
            notes += _notes(name, pairs, resources["CPU"], machines)
    setup = {"videos": VIDEOS, "distinct": len(videos), "bundle": models.id, **asdict(machines)}
    return Result(metrics, setup, notes, charts)


def _contents(videos: Sequence[Path]) -> pa.Table:
    rows = [(hashlib.sha256(path.read_bytes()).hexdigest(), str(path), path.stat().st_size) for path in videos]
    return pa.table(dict(zip(SOURCE, map(list, zip(*rows, strict=True)), strict=True)))


def _looked(night: Night, turn: int, cpus: float) -> Looked:
    """Look as a night does."""
    busy: Counter[str] = Counter()

    def advance(receipts: pa.Table) -> None:
        for row in receipts["busy"].to_pylist():
            busy.update({entry["stage"]: entry["ms"] / 1000 for entry in row or ()})
        if why := receipts["error_message"].drop_null().to_pylist():
            raise NightjarError(f"a video could not be looked at: {why[0]}")

    began = time.perf_counter()
    look(night.stages(f"looked-{turn}"), night.contents, rows_a_task(night.contents.num_rows, cpus), advance)
    return Looked(time.perf_counter() - began, busy)


def _bare(night: Night, turn: int) -> dict[str, float]:
    """Seconds of each stage, were the shares equal: the processes' mean. `starting` is until they begin to work."""
    stages, cores = night.stages(f"bare-{turn}"), night.machines.model_actors
    rows = night.contents.num_rows
    shares = [Share(stages, night.contents.take(list(range(first, rows, cores)))) for first in range(cores)]
    with ThreadPoolExecutor(cores) as pool:
        spent = list(pool.map(_process, shares))
    return {name: statistics.mean(each[name] for each in spent) for name in spent[0]}


def _process(share: Share) -> dict[str, float]:
    with tempfile.NamedTemporaryFile() as request:
        request.write(pickle.dumps(share))
        request.flush()
        began = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.lights.stages", request.name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        took = time.perf_counter() - began
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"starting": took - sum(found.values()), **found}


def _metrics(name: str, pairs: Sequence[tuple[dict[str, float], Looked]]) -> dict[str, list[float]]:
    light = [sum(bare.values()) for bare, _ in pairs]
    wall = [looked.wall_s for _, looked in pairs]
    return {
        f"share_of_speed_of_light_{name}": [one / other for one, other in zip(light, wall, strict=True)],
        f"speed_of_light_s_{name}": light,
        f"pipeline_s_{name}": wall,
        f"videos_per_s_{name}": [VIDEOS / each for each in wall],
    }


def _chart(name: str, pairs: Sequence[tuple[dict[str, float], Looked]]) -> Chart:
    bars = {stage: [bare[stage] for bare, _ in pairs] for stage in pairs[0][0]}
    return Chart(f"bare seconds by stage, {name}", "s", dict(sorted(bars.items(), key=lambda one: -max(one[1]))))


def _notes(name: str, pairs: Sequence[tuple[dict[str, float], Looked]], cores: float, machines: Machines) -> list[str]:
    bare, looked = pairs[len(pairs) // 2]
    total = sum(bare.values())
    first = max(bare, key=lambda stage: bare[stage])
    head = f"| {name}: stage | bare s | share | busy in the pipeline s | of its {cores:g} cores |"
    rows = [
        f"| {stage} | {spent:.2f} | {spent / total:.1%} | {looked.busy_s[stage]:.2f} "
        f"| {looked.busy_s[stage] / looked.wall_s / cores:.1%} |"
        for stage, spent in sorted(bare.items(), key=lambda one: -one[1])
    ]
    actors = f"{machines.model_actors} engines of {machines.model_threads} model threads keep all cores at work"
    return [
        f"{name}: most of the time is {first} ({bare[first] / total:.0%}); {actors}, so more cores move it, or a "
        "cheaper model",
        "\n".join([head, "|---|---|---|---|---|", *rows]),
    ]
