"""Plan a night: how many machines, how many hours and what cost, from rates that a night was measured with."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from jobs.plans.planning import Kind, Load, Rates, plan
from jobs.plans.rates import Measured, measured, rates_of
from jobs.plans.tables import RATES, Known, facts, show
from model_registry.errors import UsageError
from pipelines.places import place

EXAMPLES = """examples:
  nightjar plan --videos 5e6 --hours 20000 --within 8 --measured recalls/dt=2026-11-21
  nightjar plan --videos 5e6 --hours 20000 --within 8 --measured small/dt=2026-11-20 large/dt=2026-11-21 \\
      --decode-machine cpus=32,price=1.20 --look-machine gpus=1,cpus=16,price=2.90 --lost 0.05
  nightjar plan --videos 5e6 --hours 20000 --within 8 --rate decode=400 --rate look=900 --rate listen=600

--videos and --hours are those of one night. Rates come from finished nights of one kind of machine; two of different
sizes tell what a night starts with from what it takes an hour of video. --rate replaces one of them, or all where
nothing was measured: decode, look, listen, hash and match in seconds of a core (of a GPU: look, listen, match with
--look-machine gpus=...) an hour of video, read and judge in seconds of a core a thousand videos."""
TYPED_EFFICIENCY = 0.8  # of a pipeline, where nobody measured it: what benchmarks/requirements.yaml holds ours to
TYPED_ACTOR_CPUS = 2.0  # of a GPU that looks and listens: see jobs.recipes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--videos", required=True, type=float, metavar="N", help="videos a night, such as 5e6")
    parser.add_argument("--hours", required=True, type=float, metavar="H", help="hours of video a night")
    parser.add_argument("--within", required=True, type=float, metavar="H", help="hours that the night may last")
    parser.add_argument("--measured", type=place, nargs="+", default=[], metavar="DIR", help="finished nights")
    parser.add_argument("--rate", type=rate, action="append", default=[], metavar="NAME=S", help="type a rate in")
    machine = "cpus=N,price=P, the price an hour"
    parser.add_argument("--decode-machine", type=kind, metavar="M", help=f"{machine} (default: cpus=16)")
    parser.add_argument("--look-machine", type=kind, metavar="M", help=f"gpus=N,{machine} (default: as measured)")
    parser.add_argument("--lost", type=float, default=0.0, metavar="SHARE", help="of the work, with spot machines")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def rate(text: str) -> tuple[str, float]:
    """Parse `decode=12.5`."""
    name, value = _pair(text)
    if name not in RATES:
        raise argparse.ArgumentTypeError(f"{name!r} is no rate, wanted one of {', '.join(RATES)}")
    return name, value


def kind(text: str) -> dict[str, float]:
    """Parse `gpus=1,cpus=16,price=0.9`."""
    found = dict(_pair(part) for part in text.split(","))
    if unknown := sorted(set(found) - {"cpus", "gpus", "price"}):
        raise argparse.ArgumentTypeError(f"{text!r} has {', '.join(unknown)}, wanted some of cpus, gpus, price")
    if "cpus" not in found:
        raise argparse.ArgumentTypeError(f"{text!r} lacks cpus")
    return found


def _pair(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=NUMBER") from error


def run(args: argparse.Namespace) -> int:
    """Plan, and print it."""
    load, typed = Load(args.videos, args.hours, args.lost), dict(args.rate)
    nights = [measured(folder) for folder in args.measured]
    known = _known(nights, typed, args.look_machine)
    decode, look = _kinds(args.decode_machine, args.look_machine, known)
    found = plan(known.rates, load, args.within, decode, look)
    if args.json:
        print(json.dumps(facts(found, known, load)))
    else:
        show(found, known, load)
    return 0


def _known(nights: Sequence[Measured], typed: Mapping[str, float], look: Mapping[str, float] | None) -> Known:
    """Measured rates, those typed in before them; raises UsageError where one is missing that every night needs."""
    wants_gpu = bool(look and look.get("gpus"))
    if nights and (rates_of(nights).on_gpu or not wants_gpu):
        return Known(replace(rates_of(nights), **typed), nights, typed)  # type: ignore[arg-type]
    needed = ("look", "listen") if nights else ("decode", "look")
    if missing := [f"--rate {name}=SECONDS" for name in needed if name not in typed]:
        why = f"{nights[0].name} was measured without a GPU" if nights else "nothing was measured with --measured"
        raise UsageError(f"{why}: give {' and '.join(missing)}")
    blank = replace(rates_of(nights), match=0.0) if nights else Rates(decode=0.0, look=0.0)
    assumed = {"efficiency": TYPED_EFFICIENCY, "actor_cpus_a_gpu": TYPED_ACTOR_CPUS, "on_gpu": wants_gpu}
    return Known(replace(blank, **{**assumed, **typed}), nights, typed)  # type: ignore[arg-type]


def _kinds(
    decode: Mapping[str, float] | None, look: Mapping[str, float] | None, known: Known
) -> tuple[Kind, Kind | None]:
    """The machines asked for, or such as were measured."""
    if look is None and known.rates.on_gpu:
        night = known.nights[0]
        look = {"gpus": night.gpus / night.nodes, "cpus": night.cpus / night.nodes}
    decoding = Kind("decode machine", **(decode or {"cpus": 16.0}))
    return decoding, Kind("look machine", **look) if look and known.rates.on_gpu else None


if __name__ == "__main__":
    from jobs.cli import main

    main(["plan", *sys.argv[1:]])
