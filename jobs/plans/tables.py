"""What a plan says: tables for people, facts for programs, and what both take for granted in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from jobs.plans.planning import DECODING, GPU_IN_CORES, HOUR_S, LISTENING, LOOKING, Load, Plan, Rates, night_on
from jobs.plans.rates import Measured

NAMES = {
    "decode": DECODING,
    "look": LOOKING,
    "listen": LISTENING,
    "hash": "hashing",
    "match": "matching",
    "read": "reading",
    "judge": "judging",
}
RATES = tuple(NAMES)
PER_VIDEO = ("read", "judge")


@dataclass(frozen=True)
class Known:
    """The rates of a plan, and where they come from."""

    rates: Rates
    nights: Sequence[Measured]
    typed: Mapping[str, float]

    @property
    def has_measured_pace(self) -> bool:
        """Whether it was measured how well the parts of looking go on beside one another."""
        return any(bool(night.gpus) == self.rates.on_gpu for night in self.nights)


def show(found: Plan, known: Known, load: Load) -> None:
    """Print a plan."""
    console = Console()
    console.print(_work_table(known.rates, load))
    console.print()
    console.print(_machine_table(found))
    console.print()
    for sentence in [*conclusions(found, known, load), "", *assumptions(found, known, load)]:
        console.print(Text(sentence), soft_wrap=True)


def assumptions(found: Plan, known: Known, load: Load) -> list[str]:
    """What the plan takes for granted, in plain sentences."""
    rates = known.rates
    said = [*_of_measured(known.nights, load), *_of_typed(known)]
    said.append("Work spreads over any number of machines without loss; judging alone runs on one core.")
    if rates.efficiency < 1:
        whose = "measured" if known.has_measured_pace else "assumed"
        said.append(
            f"While frames are looked at, its busiest part is busy {rates.efficiency:.0%} of the time: {whose}."
        )
    if load.lost:
        said.append(f"{load.lost:.0%} of the work is done again because machines were taken away; judging is not.")
    if rates.on_gpu and found.cost is None:
        said.append(f"Prices are missing: a GPU was taken to cost what {GPU_IN_CORES} cores do.")
    said.append("A cost is that of the machines named here for as long as the night lasts: no head node, no storage.")
    return said


def _of_measured(nights: Sequence[Measured], load: Load) -> list[str]:
    if not nights:
        return []
    hours, videos = sum(night.hours for night in nights), sum(night.videos for night in nights)
    one = nights[0]
    said = [
        f"Measured: {', '.join(night.name for night in nights)}, {hours:.3g} hours of video in {videos:,} videos, "
        f"{one.versions['bundle']}, on {one.nodes} machine{'s' * (one.nodes != 1)} with {one.cpus:g} cores and "
        f"{one.gpus:g} GPUs in all. Machines of another kind are as fast or as slow as they are: measure them.",
        f"The planned night is {load.hours / hours:,.3g} times as much video.",
    ]
    planned_s, measured_s = (3600 * h / n for h, n in ((load.hours, load.videos), (hours, videos)))
    if not 0.67 < planned_s / measured_s < 1.5:
        said.append(
            f"Its videos last {planned_s:.3g} s on average, those measured {measured_s:.3g} s: opening a video and "
            "starting a clip weigh more in short ones, so measure with such videos."
        )
    if len(nights) == 1:
        said.append("From one night nobody can tell what it starts with: that is spread over its video too.")
    if one.references is not None:
        said.append(f"Matching is with a bank of {one.references:,} references; it grows with the bank.")
    return said


def _of_typed(known: Known) -> list[str]:
    typed = [f"{name}={value:g}" for name, value in sorted(known.typed.items())]
    unknown = [NAMES[name] for name in RATES if not getattr(known.rates, name) and name not in known.typed]
    said = [f"Typed in, not measured: {', '.join(typed)}."] if typed else []
    if unknown:
        said.append(f"Nothing is known of {', '.join(unknown)}, and nothing is counted for it.")
    return said


def conclusions(found: Plan, known: Known, load: Load) -> list[str]:
    """What comes out, in plain sentences."""
    rates, longest = known.rates, max(found.steps_h, key=lambda step: found.steps_h[step])
    said = [
        f"The night lasts {found.hours:.3g} hours; {longest} is most of it, and there {found.bottleneck} sets the pace."
    ]
    if rates.cores_a_gpu is not None:
        said.append(f"One GPU keeps up with {rates.cores_a_gpu:.3g} cores that decode.")
    if found.cost is not None:
        said.append(f"It costs {found.cost:,.2f}, {found.cost / load.hours:.3g} an hour of video.")
    if load.lost:
        calm = night_on(found.machines, rates, replace(load, lost=0.0))
        said.append(f"Without losses the same machines need {calm.hours:.3g} hours.")
    if stored := storage(known.nights, load):
        said.append(
            f"It writes {decimal(int(sum(stored.values())))}, of that features {decimal(int(stored['features']))}."
        )
    return said


def storage(nights: Sequence[Measured], load: Load) -> dict[str, float]:
    """Bytes that the night writes; nothing where the features of every measured night were pruned."""
    whole = [night for night in nights if night.features_bytes is not None]
    if not whole:
        return {}
    features = sum(night.features_bytes or 0 for night in whole) / sum(night.hours for night in whole)
    other = sum(night.other_bytes for night in whole) / sum(night.videos for night in whole)
    return {"features": features * load.hours, "other": other * load.videos}


def work(rates: Rates, load: Load) -> list[tuple[str, str, float]]:
    """Each stage, what it runs on, and the hours of a core or a GPU it takes, repeated work included."""
    rows = []
    for name in RATES:
        amount = load.videos / 1000 if name in PER_VIDEO else load.hours
        again = 1.0 if name == "judge" else 1 + load.lost
        on = "GPU" if rates.on_gpu and name in ("look", "listen", "match") else "core"
        rows.append((NAMES[name], on, again * getattr(rates, name) * amount / HOUR_S))
    return [row for row in rows if row[2]]


def _work_table(rates: Rates, load: Load) -> Table:
    table = Table("work", "on", box=None, header_style="bold", pad_edge=False)
    table.add_column("hours of it", justify="right")
    for stage, on, hours in work(rates, load):
        table.add_row(stage, on, f"{hours:,.4g}")
    return table


def _machine_table(found: Plan) -> Table:
    table = Table("machines", box=None, header_style="bold", pad_edge=False)
    for title in ("number", "cores", "GPUs", "price an hour", "cost"):
        table.add_column(title, justify="right")
    for one, count in found.machines.counts:
        price = "" if one.price is None else f"{one.price:,.2f}"
        cost = "" if one.price is None else f"{one.price * count * found.hours:,.2f}"
        table.add_row(one.name, f"{count:,}", f"{one.cpus * count:,g}", f"{one.gpus * count:,g}", price, cost)
    return table


def facts(found: Plan, known: Known, load: Load) -> dict[str, Any]:
    """For programs."""
    rates = known.rates
    return {
        "load": asdict(load),
        "rates": asdict(rates),
        "work_hours": [{"stage": stage, "on": on, "hours": hours} for stage, on, hours in work(rates, load)],
        "machines": [{**asdict(one), "count": count} for one, count in found.machines.counts],
        "steps_hours": found.steps_h,
        "hours": found.hours,
        "cost": found.cost,
        "bottleneck": found.bottleneck,
        "decode_cores_a_gpu": rates.cores_a_gpu,
        "storage_bytes": storage(known.nights, load),
        "assumptions": assumptions(found, known, load),
    }
