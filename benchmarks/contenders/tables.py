"""The tables of a report: how long each took, where its processor time went, how far its output is from ours."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields

from benchmarks.contenders.compare import Gaps
from benchmarks.contenders.roster import OURS, PEERS, WHY_OURS
from benchmarks.contenders.runs import Run
from benchmarks.result import spread


def speeds(name: str, runs: Mapping[str, Sequence[Run]], videos: int) -> str:
    """One row a contender, fastest first: median, and lowest to highest."""
    head = "| contender | work s | process s | ready s | videos/s | processor s | peak MB |"
    lines = [f"## {name}: {videos} videos", "", head, "|---|---|---|---|---|---|---|"]
    for contender in sorted(runs, key=lambda each: _middle(runs[each], lambda run: run.work_s)):
        mine = runs[contender]
        work, wall = (spread([getattr(run, time) for run in mine], 1) for time in ("work_s", "wall_s"))
        rate = videos / _middle(mine, lambda run: run.work_s)
        ready, cpu = _middle(mine, lambda run: run.ready_s), _middle(mine, lambda run: run.cpu_s)
        peak = _middle(mine, lambda run: run.peak_bytes / 1e6)
        lines.append(f"| {contender} | {work} | {wall} | {ready:.1f} | {rate:.2f} | {cpu:.1f} | {peak:.0f} |")
    return "\n".join(lines)


def reasons(name: str, runs: Mapping[str, Sequence[Run]], parts: Mapping[str, float]) -> str:
    """Where each one's processor seconds go: its decoding and the models as measured bare, and all that is neither."""
    head = "| contender | decoding | models | neither | cores busy | why |"
    lines = [
        f"## {name}: processor seconds, decoding and models as measured bare",
        "",
        head,
        "|---|---|---|---|---|---|",
    ]
    for contender, mine in runs.items():
        decoding = parts["nightjar" if contender == OURS else "every_frame"]
        models = parts["published" if contender != OURS and PEERS[contender].published else "models"]
        cpu, wall = _middle(mine, lambda run: run.cpu_s), _middle(mine, lambda run: run.wall_s)
        rest = cpu - decoding - models
        why = WHY_OURS if contender == OURS else PEERS[contender].why
        lines.append(f"| {contender} | {decoding:.1f} | {models:.1f} | {rest:.1f} | {cpu / wall:.2f} | {why} |")
    return "\n".join(lines)


def gaps_table(name: str, gaps: Mapping[str, Gaps]) -> str:
    """How far each one's output is from ours, the last round's."""
    names = [field.name for field in fields(Gaps)]
    lines = [f"## {name}: gaps to our output", "", f"| contender | {' | '.join(names)} |", "|---" * 6 + "|"]
    for contender, found in gaps.items():
        lines.append(f"| {contender} | {' | '.join(f'{getattr(found, each):.4g}' for each in names)} |")
    return "\n".join(lines)


def _middle(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
    return statistics.median(map(of, runs))
