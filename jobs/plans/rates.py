"""What a night takes on machines of one kind, read off finished nights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from jobs.judge import read_summary
from jobs.plans.planning import DECODING, LISTENING, LOOKING, Rates
from model_registry.errors import UsageError
from pipelines.places import Place, exists, read_table
from pipelines.trees import measure

DECODE_STAGE = "decode"
MATCH_STAGE = "verify"
EAR_STAGES = frozenset({"transcribe", "knowvoices", "heard", "listen"})  # all others look at frames
ONE_GO = 0.9  # of the contents, looked at in one run
STEPS = ("hashing", "looking", "matching", "reading", "judging")
NEEDED = ("machine", "steps_s", "busy_s", "throughput", "counts", "versions", "run")


@dataclass(frozen=True)
class Measured:
    """What one finished night says of its speed."""

    name: str
    hours: float  # of video that was looked at
    videos: int
    cpus: float
    gpus: float
    nodes: int
    seconds: float
    steps_s: Mapping[str, float]
    busy_s: Mapping[str, float]  # by DECODING, LOOKING, LISTENING
    spread: Mapping[str, float]  # jobs.recipes.machines_for, as the night had it
    versions: Mapping[str, Any]
    references: int | None
    features_bytes: int | None  # None where they were pruned
    other_bytes: int

    @property
    def free_cpus(self) -> float:
        """Cores that no actor keeps from decoding."""
        pools = ("model", "speech")
        return self.cpus - sum(self.spread[f"{pool}_actors"] * self.spread[f"{pool}_cpus"] for pool in pools)

    def busy_of(self, part: str) -> float:
        """Core or GPU seconds: of decode tasks what they keep of a core, of actors what they keep of a GPU."""
        busy_s = self.busy_s[part]
        if part == DECODING:
            return busy_s * (self.spread["decode_cpus"] if self.gpus else 1.0)
        if not self.gpus:
            return busy_s * self.spread["model_threads"]
        actors = self.spread["speech_actors"] if part == LISTENING else self.spread["model_actors"]
        return busy_s * self.gpus / (actors or self.spread["model_actors"])


def measured(folder: Place) -> Measured:
    """Read a finished night; raises UsageError where it does not say how fast it was."""
    summary = read_summary(folder)
    if lacking := [key for key in NEEDED if key not in summary]:
        raise UsageError(f"{folder} does not say how fast it was: its summary lacks {', '.join(lacking)}")
    machine, looked_at = summary["machine"], summary["counts"]["contents_looked_at"]
    hours = float(summary["throughput"]["hours"])
    if not hours:
        raise UsageError(f"{folder} looked at no video: measure a night that did")
    _refuse_resumed(folder, looked_at)
    features = None if summary.get("pruned") else measure(folder / "features").bytes
    return Measured(
        name=folder.name,
        hours=hours,
        videos=int(summary["counts"]["videos"]),
        cpus=float(machine["cpus"]),
        gpus=float(machine["gpus"]),
        nodes=int(machine["nodes"]),
        seconds=float(summary["run"]["seconds"]),
        steps_s=summary["steps_s"],
        busy_s=_busy(summary["busy_s"]),
        spread=machine["machines"],
        versions=summary["versions"],
        references=summary.get("copyright", {}).get("references"),
        features_bytes=features,
        other_bytes=measure(folder).bytes - (features or 0),
    )


def _refuse_resumed(folder: Place, looked_at: int) -> None:
    """The times in a summary are those of the last run alone."""
    path = folder / "features" / "contents.parquet"
    if not exists(path):
        return
    contents = pc.count_distinct(read_table(path, ["content_sha256"])["content_sha256"]).as_py()
    if looked_at < ONE_GO * contents:
        why = f"its last run looked at {looked_at} of {contents} contents"
        raise UsageError(f"{folder} did not run in one go: {why}; measure a night that did")


def _busy(stages: Mapping[str, float]) -> dict[str, float]:
    busy_s = dict.fromkeys((DECODING, LOOKING, LISTENING), 0.0)
    for stage, seconds in stages.items():
        if stage == MATCH_STAGE:  # while it matches, and not while it looks
            continue
        part = DECODING if stage == DECODE_STAGE else LISTENING if stage in EAR_STAGES else LOOKING
        busy_s[part] += seconds
    return busy_s


def rates_of(nights: Sequence[Measured]) -> Rates:
    """Average nights on machines of one kind; with several of different sizes, what a night starts with is told apart.

    Raises UsageError where they have no more in common than that.
    """
    _refuse_mixed(nights)
    first, hours = nights[0], sum(night.hours for night in nights)
    busy = {part: sum(night.busy_of(part) for night in nights) for part in (DECODING, LOOKING, LISTENING)}
    a_video_hour = {part: seconds / hours for part, seconds in busy.items()}
    fits = {step: _fit(step, nights, a_video_hour) for step in STEPS}
    slope, efficiency = fits["looking"][1], 1.0
    if first.gpus:
        efficiency = 1 / max(1.0, slope)
    else:
        a_video_hour = {part: slope * seconds / (sum(busy.values()) or 1.0) for part, seconds in busy.items()}
    between_s = sum(night.seconds - sum(night.steps_s.values()) for night in nights) / len(nights)
    return Rates(
        on_gpu=bool(first.gpus),
        decode=a_video_hour[DECODING],
        look=a_video_hour[LOOKING],
        listen=a_video_hour[LISTENING],
        hash=fits["hashing"][1],
        match=fits["matching"][1],
        read=fits["reading"][1],
        judge=fits["judging"][1],
        start_s=sum(start for start, _ in fits.values()) + max(0.0, between_s),
        efficiency=efficiency,
        actor_cpus_a_gpu=(first.cpus - first.free_cpus) / first.gpus if first.gpus else 0.0,
    )


def _fit(step: str, nights: Sequence[Measured], a_video_hour: Mapping[str, float]) -> tuple[float, float]:
    """Return (start, slope) of a step's seconds against what `jobs.plans.planning.night_on` says they grow with."""

    def unit(night: Measured) -> float:
        if step == "looking" and night.gpus:
            return _pace_s(night, a_video_hour)
        thousands = night.videos / 1000
        units = {"matching": night.hours / (night.gpus or night.cpus), "judging": thousands}
        return (units | {"reading": thousands / max(1.0, night.cpus - 1)}).get(step, night.hours / night.cpus)

    return line([unit(night) for night in nights], [float(night.steps_s.get(step, 0.0)) for night in nights])


def _pace_s(night: Measured, a_video_hour: Mapping[str, float]) -> float:
    """Seconds that the busiest part of looking takes at least."""
    gpu_s = max(a_video_hour[LOOKING], a_video_hour[LISTENING])
    return night.hours * max(a_video_hour[DECODING] / night.free_cpus, gpu_s / night.gpus)


def line(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Return (start, slope) of the line through points, neither below 0; through the origin where they say too little.

    Least squares; with one point, or points of one size, the start is 0 and the slope the greater for it.
    """
    x, y = np.asarray(xs, float), np.asarray(ys, float)
    if np.ptp(x) > 0.1 * x.max():
        slope, start = np.polyfit(x, y, 1)
        if slope >= 0 and start >= 0:
            return float(start), float(slope)
    return 0.0, float(y @ x / (x @ x))


def _refuse_mixed(nights: Sequence[Measured]) -> None:
    first = nights[0]
    for night in nights[1:]:
        for what, one, other in (
            ("GPUs a core", first.gpus / first.cpus, night.gpus / night.cpus),
            ("bundle", first.versions.get("bundle"), night.versions.get("bundle")),
            ("sampling", first.versions.get("sampling"), night.versions.get("sampling")),
        ):
            if one != other:
                raise UsageError(f"{first.name} and {night.name} differ in {what}: {one} and {other}; measure alike")
