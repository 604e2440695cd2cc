"""Ray Serve against what a user would write: latency by clients, throughput, overload; each server in turn, alone.

Every server gets the same pictures and titles from a load generator in a process of its own, and runs the same model
classes. What Nightjar adds to a call is its time at one client less the time of the very examiner that it serves,
called in a process without a server; beside it stands what a Ray Serve ingress without a model adds.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from benchmarks.contenders.runs import OTHER_PYTHON
from benchmarks.registry import Chart, Result
from benchmarks.result import spread
from benchmarks.servers.load import Phase, Plan
from benchmarks.servers.running import ROOT, Server, environment, running
from jobs import progress
from model_registry.bundles import bundle_named, pin
from model_registry.errors import NightjarError

CLIENTS = (1, 4, 16, 64)
PHASE_S = 12.0
OVERLOAD_S = 600.0
OVERLOAD = 2.0  # times what was served at saturation
PICTURES, PICTURE_SIDE = 64, 360
WARM, SATURATING = Phase("warm", 3.0, clients=2), 16
OURS, ALONE = "nightjar", "nightjar_alone"  # as it comes; with one ingress replica
BARE, TUNED, PLAIN, LIT = "bare_ingress", "bare_ingress_tuned", "fastapi", "litserve"
PLAIN_WORKERS, LIT_WORKERS = "fastapi_workers", "litserve_workers"  # told to take a process a core
LOOKS = "visual,text"
FIELD, FIELD_MS = "the field's bar", 50.0  # a first screening at a platform with 400 million daily users
Seen = dict[str, Any]


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Alternate the servers, the direct call before and after Nightjar's turn; the overload ends the last round."""
    with tempfile.TemporaryDirectory(prefix="nightjar-serve-") as folder:
        scratch = Path(folder)
        pictures, bundle = _pictures(videos, scratch), scratch / "bundle.pickle"
        bundle.write_bytes(pickle.dumps(pin(bundle_named("lite"))))
        servers, absent = _servers(str(bundle))
        plan = Plan("", [str(path) for path in pictures], {"title": "a title", "looks": LOOKS}, [])
        rounds = [_round(servers[:: -1 if turn % 2 else 1], plan, scratch, str(bundle)) for turn in range(repeat)]
        overloaded, rounds[-1][1][OURS]["overload"] = _overload(servers[0], plan, scratch, rounds[-1][1][OURS])
    metrics = {name: [one[0][name] for one in rounds] for name in rounds[0][0]}
    metrics |= {name: [value] for name, value in overloaded.items()}
    setup = {"pictures": len(pictures), "looks": LOOKS, "cores": os.cpu_count(), "seconds_a_level": PHASE_S}
    left_out = [f"left out: {name}: {why}" for name, why in absent.items()]
    said = [_first_screening(metrics), _table(rounds[-1][1]), *left_out]
    return Result(metrics, setup | {"overload_s": OVERLOAD_S}, said, [_one_client(metrics)])


def _first_screening(metrics: Mapping[str, Sequence[float]]) -> str:
    here = spread(metrics[f"p50_ms_1_{OURS}"], 1, " ms")
    return f"a first screening of one frame and one text takes {here} at one client; {FIELD}: {FIELD_MS:g} ms"


def _one_client(metrics: Mapping[str, Sequence[float]]) -> Chart:
    bars = {name.removeprefix("p50_ms_1_"): metrics[name] for name in metrics if name.startswith("p50_ms_1_")}
    return Chart("one client", "ms", {**bars, FIELD: [FIELD_MS]})


def _servers(bundle: str) -> tuple[list[Server], dict[str, str]]:
    threads, python = str(os.cpu_count() or 1), sys.executable
    module = "benchmarks.servers"
    ours = [python, "-m", "jobs.serve", "--port", "{port}"]
    found = [
        Server(OURS, ours, "/v1/check", "/readyz"),
        Server(PLAIN, [python, "-m", f"{module}.plain", bundle, "{port}", "1", threads]),
        Server(ALONE, [*ours, "--replicas", "1"], "/v1/check", "/readyz"),
        Server(PLAIN_WORKERS, [python, "-m", f"{module}.plain", bundle, "{port}", threads, "1"]),
        Server(BARE, [python, "-m", f"{module}.bare", "{port}", "plain"]),
        Server(TUNED, [python, "-m", f"{module}.bare", "{port}", "tuned"]),
    ]
    other = _with_litserve()
    if other is None:
        return found, {LIT: f"no interpreter has litserve; name one in {OTHER_PYTHON}"}
    lit = [other, "-m", f"{module}.lit", bundle, "{port}"]
    found.insert(2, Server(LIT, [*lit, "1", threads]))  # who is compared comes soon after the other
    return [*found, Server(LIT_WORKERS, [*lit, threads, "1"])], {}


def _with_litserve() -> str | None:
    if importlib.util.find_spec("litserve"):
        return sys.executable
    if not (other := os.environ.get(OTHER_PYTHON)):
        return None
    return (
        None if subprocess.run([other, "-c", "import litserve"], capture_output=True, check=False).returncode else other
    )


def _pictures(videos: Sequence[Path], scratch: Path) -> list[Path]:
    """Frames of as many videos as there are, as JPEG files."""
    found: list[Path] = []
    for video in islice((path for path in videos), 4 * PICTURES):
        try:
            with av.open(str(video)) as container:
                frame = Image.fromarray(next(container.decode(video=0)).to_ndarray(format="rgb24"))
        except (av.FFmpegError, StopIteration, IndexError):
            continue
        frame.thumbnail((PICTURE_SIDE * 4, PICTURE_SIDE), Image.Resampling.BILINEAR)
        path = scratch / f"{len(found):03}.jpg"
        frame.save(path, quality=88)
        found.append(path)
        if len(found) == PICTURES:
            break
    if not found:
        raise NightjarError("no frame could be taken from any video")
    return found


def _round(
    servers: Sequence[Server], plan: Plan, scratch: Path, bundle: str
) -> tuple[dict[str, float], dict[str, dict[str, Seen]]]:
    levels: dict[str, dict[str, Seen]] = {}
    metrics: dict[str, float] = {}
    direct: list[Seen] = []
    for server in servers:
        if server.name == OURS:  # the machine's speed drifts: once before Nightjar's turn and once after it
            direct.append(_direct(bundle, plan.pictures, scratch))
        progress.say(f"calling {server.name}")
        with running(server, scratch) as up:
            phases = [WARM, *(Phase(str(n), PHASE_S, clients=n) for n in CLIENTS)]
            levels[server.name] = {seen["name"]: seen for seen in up.load(plan, phases, scratch)}
            metrics[f"memory_mb_{server.name}"] = up.memory_mb()
        if server.name == OURS:
            direct.append(_direct(bundle, plan.pictures, scratch))
    one = {name: _quantile(seen["1"], 50) for name, seen in levels.items()}
    direct_ms = statistics.median([ms for found in direct for ms in found["one_ms"]])
    batched = statistics.mean(found["batched_a_second"] for found in direct)
    metrics |= {f"p50_ms_1_{name}": value for name, value in one.items()}
    metrics |= {
        "direct_ms": direct_ms,
        "added_ms": one[OURS] - direct_ms,
        "added_over_bare_ms": one[OURS] - direct_ms - one[BARE],
        "direct_a_second": batched,
        "alone_vs_direct": _rate(levels[ALONE]) / batched,
        "saturated_vs_direct": _rate(levels[OURS]) / batched,
    }
    peers = [name for name in (PLAIN, LIT, PLAIN_WORKERS, LIT_WORKERS) if name in levels]
    return metrics | {f"saturated_vs_{name}": _rate(levels[OURS]) / _rate(levels[name]) for name in peers}, levels


def _overload(ours: Server, plan: Plan, scratch: Path, levels: Mapping[str, Seen]) -> tuple[dict[str, float], Seen]:
    """Nightjar alone at twice what it served when saturated, for long enough to see memory grow."""
    progress.say(f"calling {ours.name} at {OVERLOAD:g} times its saturation, for {OVERLOAD_S:g} s")
    with running(ours, scratch) as up:
        up.load(plan, [Phase("full", PHASE_S, clients=SATURATING)], scratch)  # so that all it needs is there
        before = up.memory_mb()
        [over] = up.load(plan, [Phase("overload", OVERLOAD_S, rate=OVERLOAD * _rate(levels))], scratch)
        return _overloaded(over) | {"memory_growth": up.memory_mb() / before}, over


def _direct(bundle: str, pictures: Sequence[str], scratch: Path) -> Seen:
    progress.say("calling the models directly")
    names = scratch / "pictures.txt"
    names.write_text("\n".join(pictures))
    command = [sys.executable, "-m", "benchmarks.servers.direct", bundle, str(os.cpu_count() or 1), str(names)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(), check=False)
    if done.returncode:
        raise NightjarError(f"the direct calls failed: {done.stderr.strip()[-300:]}")
    found: Seen = json.loads(done.stdout.splitlines()[-1])
    return found


def _rate(levels: Mapping[str, Seen]) -> float:
    """Answers a second at the level that gives most of them."""
    return max(float(len(levels[str(n)]["answered_ms"]) / levels[str(n)]["seconds"]) for n in CLIENTS)


def _quantile(seen: Seen, percent: float) -> float:
    return float(np.percentile(seen["answered_ms"], percent)) if seen["answered_ms"] else float("nan")


def _overloaded(seen: Seen) -> dict[str, float]:
    every = len(seen["answered_ms"]) + len(seen["refused_ms"]) + seen["failed"]
    return {
        "overload_p99_vs_p50": _quantile(seen, 99) / _quantile(seen, 50),
        "overload_refused_p50_ms": float(np.percentile(seen["refused_ms"] or [0.0], 50)),
        "overload_refused": len(seen["refused_ms"]) / every,
        "overload_failed": (seen["failed"] + seen["without_retry_after"]) / every,
    }


def _table(levels: Mapping[str, Mapping[str, Seen]]) -> str:
    """Quantiles and throughput of the last round."""
    lines = ["| server | clients | p50 ms | p95 ms | p99 ms | answers/s | refused | failed |", "|" + "---|" * 8]
    for server, phases in levels.items():
        for name, seen in phases.items():
            if name != "warm":
                quantiles = " | ".join(f"{_quantile(seen, percent):.1f}" for percent in (50, 95, 99))
                rate = len(seen["answered_ms"]) / seen["seconds"]
                lines.append(
                    f"| {server} | {name} | {quantiles} | {rate:.1f} | {len(seen['refused_ms'])} | {seen['failed']} |"
                )
    return "\n".join(lines)
