"""How many machines a night takes, and how long: arithmetic on measured rates, without Ray and without a file.

Steps come one after the other, as in `jobs.night`. While frames are looked at on GPUs, decoding goes on beside it on
the CPUs, and so does listening in actors of its own: the slowest of the three sets the pace. Without a GPU they share
the cores, and what they take adds up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from model_registry.errors import UsageError

HOUR_S = 3600.0
MOST_MACHINES = 100_000
GPU_IN_CORES = 40  # roughly what clouds ask for one
DECODING, LOOKING, LISTENING = "decoding", "looking", "listening"


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What the steps of a night take on the machines they were measured on.

    Core or GPU seconds an hour of video, but for `read` and `judge`: core seconds a thousand videos.
    """

    on_gpu: bool = False  # whether looking, listening and matching are in seconds of a GPU
    decode: float
    look: float
    listen: float = 0.0
    hash: float = 0.0
    match: float = 0.0
    read: float = 0.0
    judge: float = 0.0  # on the one core of the driver, however many machines there are
    start_s: float = 0.0  # of the night, before and between its steps
    efficiency: float = 1.0  # how much of the time the busiest part of looking is busy
    actor_cpus_a_gpu: float = 0.0  # cores that the actors of a GPU keep from decoding

    def __post_init__(self) -> None:
        """Hold the rates to reason."""
        for name, value in vars(self).items():
            if not value >= 0:
                raise UsageError(f"rate {name} is {value:g}, wanted 0 or more")
        if not 0 < self.efficiency <= 1:
            raise UsageError(f"efficiency is {self.efficiency:g}, wanted more than 0 and at most 1")

    @property
    def cores_a_gpu(self) -> float | None:
        """Cores that have to decode so that one GPU never waits; None without a GPU."""
        gpu_s = max(self.look, self.listen)
        return self.decode / gpu_s if self.on_gpu and gpu_s else None


@dataclass(frozen=True)
class Load:
    """What comes in."""

    videos: float
    hours: float  # of video
    lost: float = 0.0  # share of the work that is done again because machines were taken away

    def __post_init__(self) -> None:
        """Hold it to reason."""
        for name in ("videos", "hours"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"{name} is {getattr(self, name):g}, wanted more than 0")
        if not 0 <= self.lost < 1:
            raise UsageError(f"lost is {self.lost:g}, wanted a share from 0 to below 1")


@dataclass(frozen=True)
class Kind:
    """A kind of machine."""

    name: str
    cpus: float
    gpus: float = 0.0
    price: float | None = None  # an hour, in whatever currency

    def __post_init__(self) -> None:
        """Hold it to reason."""
        for name in ("cpus", "gpus", "price"):
            if (value := getattr(self, name)) is not None and not value >= 0:
                raise UsageError(f"{self.name}: {name} is {value:g}, wanted 0 or more")
        if not self.cpus:
            raise UsageError(f"{self.name}: cpus is 0, wanted more")


@dataclass(frozen=True)
class Machines:
    """So many machines of each kind."""

    counts: tuple[tuple[Kind, int], ...]

    @property
    def cpus(self) -> float:
        """Cores of all."""
        return sum(kind.cpus * count for kind, count in self.counts)

    @property
    def gpus(self) -> float:
        """GPUs of all."""
        return sum(kind.gpus * count for kind, count in self.counts)

    @property
    def weight(self) -> float:
        """In cores, for want of prices."""
        return self.cpus + GPU_IN_CORES * self.gpus

    def cost(self, hours: float) -> float | None:
        """What they come to, None where a price is missing."""
        if any(kind.price is None for kind, count in self.counts if count):
            return None
        return sum((kind.price or 0.0) * count * hours for kind, count in self.counts)


@dataclass(frozen=True)
class Plan:
    """Machines, and what a night on them is like."""

    machines: Machines
    steps_h: dict[str, float]  # in their order
    bottleneck: str  # of what goes on while frames are looked at

    @property
    def hours(self) -> float:
        """How long the night takes."""
        return sum(self.steps_h.values())

    @property
    def cost(self) -> float | None:
        """What the machines cost for as long, None where a price is missing."""
        return self.machines.cost(self.hours)


def night_on(machines: Machines, rates: Rates, load: Load) -> Plan:
    """Predict a night on given machines; raises UsageError where they cannot work."""
    if rates.on_gpu and not machines.gpus:
        raise UsageError("the rates are of GPUs and none of the machines has one")
    cpus, again = machines.cpus, 1 + load.lost
    looking_s = _looking_s(machines, rates, load.hours)
    bottleneck = max(looking_s, key=lambda part: looking_s[part])
    look_s = (max if rates.on_gpu else sum)(looking_s.values()) / rates.efficiency
    steps_s = {
        "starting": rates.start_s,
        "hashing": again * rates.hash * load.hours / cpus,
        "looking": again * look_s,
        "matching": again * rates.match * load.hours / (machines.gpus if rates.on_gpu else cpus),
        "reading": again * rates.read * load.videos / 1000 / max(1.0, cpus - 1),
        "judging": rates.judge * load.videos / 1000,
    }
    return Plan(machines, {step: seconds / HOUR_S for step, seconds in steps_s.items()}, bottleneck)


def _looking_s(machines: Machines, rates: Rates, hours: float) -> dict[str, float]:
    """Seconds that decoding, looking and listening take of what each of them has to itself."""
    cpus = machines.cpus
    if not rates.on_gpu:
        seconds = (rates.decode, rates.look, rates.listen)
        return {part: s * hours / cpus for part, s in zip((DECODING, LOOKING, LISTENING), seconds, strict=True)}
    kept = min(0.5 * cpus, machines.gpus * rates.actor_cpus_a_gpu)  # never more than half: see jobs.recipes
    on_gpus = {LOOKING: rates.look * hours / machines.gpus, LISTENING: rates.listen * hours / machines.gpus}
    return {DECODING: rates.decode * hours / (cpus - kept), **on_gpus}


def plan(rates: Rates, load: Load, within_h: float, decode: Kind, look: Kind | None = None) -> Plan:
    """Return the cheapest machines on which the night fits; where a price is missing a GPU costs what 40 cores do.

    Without GPUs all machines are of the kind `decode`. With GPUs the kind `look` has them, and decodes with the cores
    that are left; the rest is decoded on the other kind: for each number of machines with GPUs, on as few as it takes.
    Raises UsageError.
    """
    _refuse(rates, load, within_h, look)
    fitting = list(_fitting(rates, load, within_h, decode, look if rates.on_gpu else None))
    if not fitting:
        raise UsageError(f"the night does not fit into {within_h:g} hours on {MOST_MACHINES:,} machines of a kind")
    is_priced = all(kind.price is not None for kind, _ in fitting[0].machines.counts)
    return min(
        fitting, key=lambda one: ((one.cost or 0.0) if is_priced else one.machines.weight * one.hours, one.hours)
    )


def _refuse(rates: Rates, load: Load, within_h: float, look: Kind | None) -> None:
    if not within_h > 0:
        raise UsageError(f"the night may last {within_h:g} hours, wanted more than 0")
    fixed_h = (rates.start_s + rates.judge * load.videos / 1000) / HOUR_S
    if fixed_h >= within_h:
        why = f"starting and judging take {fixed_h:.3g} hours at these rates, however many machines there are"
        hint = "rates of a small night count its start for every video: measure a larger one, or two"
        raise UsageError(f"the night does not fit into {within_h:g} hours: {why}; {hint}")
    if rates.on_gpu and not (look and look.gpus):
        raise UsageError("the rates are of GPUs: say what a machine with GPUs has, such as gpus=1,cpus=16")


def _fitting(rates: Rates, load: Load, within_h: float, decode: Kind, look: Kind | None) -> Iterator[Plan]:
    """Plans that fit: ever more machines of the kind `look`, and as few of the other, until none of it is needed."""

    def fits(*counts: tuple[Kind, int]) -> bool:
        return night_on(Machines(counts), rates, load).hours <= within_h

    if look is None:
        if count := _least(lambda n: fits((decode, n)), 1):
            yield night_on(Machines(((decode, count),)), rates, load)
        return
    gpus, others = _least(lambda n: fits((look, n), (decode, MOST_MACHINES)), 1), None
    while gpus and others != 0:
        others = _least(partial(lambda gpus, n: fits((look, gpus), (decode, n)), gpus), 0) or 0
        yield night_on(Machines(((look, gpus), (decode, others))), rates, load)
        gpus += max(1, gpus // 100)


def _least(fits: Callable[[int], bool], lowest: int) -> int | None:
    """Return the least number of machines that fits, given that more fit too; None where even the most do not."""
    counts = range(lowest, MOST_MACHINES + 1)
    found = bisect_left(counts, True, key=fits)
    return counts[found] if found < len(counts) else None
