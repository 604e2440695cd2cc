"""Against what people use today: the same real videos, frames, models and outputs, each contender in its own process.

Contenders take turns, in another order each round. `work` runs from the first video begun, models not loaded yet, to
the output being whole; `process` is the whole of it, from start to exit. The best peer is that of the lowest median.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from benchmarks.contenders.compare import ALLOWED, Gaps, compared
from benchmarks.contenders.contract import Task
from benchmarks.contenders.roster import OURS, PEERS
from benchmarks.contenders.runs import OTHER_PYTHON, Contender, Run
from benchmarks.contenders.sets import LONG_S, SHORT_VIDEOS, long_set, short_set
from benchmarks.contenders.tables import gaps_table, reasons, speeds
from benchmarks.registry import Result
from jobs import progress
from model_registry.bundles import bundle_named, pin
from model_registry.errors import NightjarError

FAR_BEHIND = 1.8  # times the best peer's work in the first round


@dataclass
class Match:
    """All rounds over one set of videos."""

    task: Task
    runs: dict[str, list[Run]]
    gaps: dict[str, Gaps]
    out: dict[str, str]  # why a contender is not in it


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Run every contender that can run over both sets."""
    bundle = pin(bundle_named("lite").without("speech", "ocr", "text"))
    contenders, absent = present()
    with tempfile.TemporaryDirectory(prefix="nightjar-peers-") as folder:
        scratch = Path(folder)
        sets = {"short": short_set(videos, scratch / "short"), "long": long_set(videos, scratch / "long")}
        matches = {}
        for name, paths in sets.items():
            output = str(scratch / "output.parquet")
            task = Task(tuple(map(str, paths)), output, (bundle.tower, *bundle.frame_models), cores=os.cpu_count() or 1)
            matches[name] = played(task, contenders, repeat, scratch)
        parts = {name: bare(match.task, scratch) for name, match in matches.items()}
    metrics = {key: values for name, match in matches.items() for key, values in ratios(name, match).items()}
    notes = [note for name, match in matches.items() for note in told(name, match, parts[name])]
    setup = {"short_videos": SHORT_VIDEOS, "long_s": LONG_S, "cores": os.cpu_count(), "bundle": bundle.id}
    return Result(metrics, setup, [*notes, *(f"left out: {name}: {why}" for name, why in absent.items())])


def present() -> tuple[list[Contender], dict[str, str]]:
    """Every contender with an interpreter that has its tools, ours first; and why others are left out."""
    found, absent = [Contender(OURS, sys.executable)], {}
    for name, peer in PEERS.items():
        pythons = [python for python in _pythons() if all(_has(python, module) for module in peer.needs)]
        if pythons:
            found.append(Contender(name, pythons[0], peer.module, peer.published))
        else:
            absent[name] = f"no interpreter has {' and '.join(peer.needs)}; name one in {OTHER_PYTHON}"
    return found, absent


def _pythons() -> list[str]:
    return [sys.executable, *filter(None, [os.environ.get(OTHER_PYTHON)])]


@cache
def _has(python: str, module: str) -> bool:
    if python == sys.executable:
        return importlib.util.find_spec(module) is not None
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", look], check=False).returncode == 0


def played(task: Task, contenders: Sequence[Contender], repeat: int, scratch: Path) -> Match:
    """Let all take turns; a peer that fails once is out, and its reason is told. Ours may not fail."""
    match = Match(task, {each.name: [] for each in contenders}, {}, {})
    for turn in range(repeat):
        outputs = {}
        slow = far_behind(match) if turn else set()
        for contender in in_turn(contenders, turn):
            if contender.name in match.out or contender.name in slow:
                continue
            try:
                match.runs[contender.name].append(contender.run(task, scratch))
            except NightjarError as error:
                _refuse(match, contender.name, error)
                continue
            outputs[contender.name] = Path(task.output).rename(scratch / f"{contender.name}.parquet")
        for name in outputs.keys() - {OURS}:
            match.gaps[name] = compared(name, outputs[name], outputs[OURS], PEERS[name].allowed)
    return match


def far_behind(match: Match) -> set[str]:
    """Peers that one round has shown to be no match for the best: they are not waited for again."""
    took = {name: runs[0].work_s for name, runs in match.runs.items() if name != OURS and runs}
    return {name for name in took if took[name] > FAR_BEHIND * min(took.values())}


def in_turn(contenders: Sequence[Contender], turn: int) -> list[Contender]:
    """Another one begins each round, and every second round goes backwards."""
    first = turn % len(contenders)
    order = [*contenders[first:], *contenders[:first]]
    return order[::-1] if turn % 2 else order


def _refuse(match: Match, name: str, error: NightjarError) -> None:
    if name == OURS:
        raise error
    progress.say(f"warning: {error}")
    match.out[name] = str(error)
    del match.runs[name]


def bare(task: Task, scratch: Path) -> dict[str, float]:
    """Processor seconds of the work's parts."""
    spent, _ = Contender("parts", sys.executable).said(task, scratch)
    return spent


def ratios(name: str, match: Match) -> dict[str, list[float]]:
    """Time of the best peer over ours, round by round; and the widest gaps of any peer held to the common limits."""
    found = {
        f"vs_best_peer_{name}": _ratio(match.runs, "work_s"),
        f"vs_best_peer_{name}_process": _ratio(match.runs, "wall_s"),
    }
    for peer in (peer for peer in match.runs if peer != OURS and not PEERS[peer].published):
        found[f"vs_{peer}_{name}"] = _each(match.runs[peer], match.runs[OURS], "work_s")
    held = [gaps for peer, gaps in match.gaps.items() if PEERS[peer].allowed == ALLOWED]
    for field in fields(Gaps):
        found[f"{field.name}_{name}"] = [max((getattr(gaps, field.name) for gaps in held), default=0.0)]
    return found


def best(runs: Mapping[str, Sequence[Run]], time: str) -> str:
    """The peer of the lowest median."""
    peers = [name for name in runs if name != OURS and PEERS[name].published]
    if not peers:
        raise NightjarError("no peer could be run, so there is nothing to compare with")
    return min(peers, key=lambda name: statistics.median(getattr(run, time) for run in runs[name]))


def _ratio(runs: Mapping[str, Sequence[Run]], time: str) -> list[float]:
    return _each(runs[best(runs, time)], runs[OURS], time)


def _each(theirs: Sequence[Run], ours: Sequence[Run], time: str) -> list[float]:
    """Round by round, as many as both ran."""
    return [getattr(one, time) / getattr(other, time) for one, other in zip(theirs, ours, strict=False)]


def told(name: str, match: Match, parts: Mapping[str, float]) -> list[str]:
    """What a reader should know of one set: which peer is best, the table, a reason each, who fell out."""
    work, process = best(match.runs, "work_s"), best(match.runs, "wall_s")
    rounds = len(match.runs[OURS])
    slow = sorted(each for each, runs in match.runs.items() if len(runs) < rounds)
    behind = [f"{name}: run once, over {FAR_BEHIND} times as long as the best: {', '.join(slow)}"] if slow else []
    lines = [f"{name}: of the peers with the models as published the best is {work} by work, {process} by process"]
    blocks = [speeds(name, match.runs, len(match.task.videos)), reasons(name, match.runs, parts)]
    blocks.append(gaps_table(name, match.gaps))
    return [*lines, *behind, *(f"out of {name}: {why}" for why in match.out.values()), *blocks]
