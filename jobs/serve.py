"""Answer single uploads over HTTP with the models, policy and bank of the nightly recall, on Ray Serve."""

from __future__ import annotations

import argparse
import ipaddress
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from jobs import progress, recipes, session
from jobs.arguments import add_interval, add_lexicons, add_models, count, seconds
from model_registry.errors import UsageError
from model_registry.store import ALIASES
from pipelines.risk.policy import load_policy
from pipelines.serving.placement import Placement, Room
from pipelines.serving.relay import HERE, Relay, free_block, written
from pipelines.serving.service import Plan, Service, plan

EXAMPLES = """examples:
  nightjar serve                                             # on this machine only, without keys
  nightjar keys create uploads --keys keys.json
  nightjar serve --host 0.0.0.0 --keys keys.json --bank references --policy strict.toml
  nightjar serve --challenger challenger --shadow 0.1        # tries registered models on a tenth of the uploads
  nightjar serve --challenger-policy strict.toml             # tries a policy; MLflow has how they differ
  nightjar serve --bundle clip-l14 --placement apart --most-replicas 4 --keys keys.json --config serve.yaml
  serve deploy serve.yaml                                    # on a cluster whose Ray is up
"""


class _Stop(BaseException):
    """SIGTERM or SIGINT came."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    where = parser.add_argument_group("where to answer, and whom")
    where.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    where.add_argument("--port", type=_port, default=8000, help="port to listen on (default: 8000)")
    where.add_argument("--keys", type=Path, metavar="FILE", help="who may call: see `nightjar keys`")
    allow = "requests may name files there, as https://media.example.com[/prefix] (may be repeated; default: none)"
    where.add_argument("--allow", action="append", default=[], metavar="PLACE", help=allow)
    where.add_argument("--videos", type=Path, metavar="DIR", help="where videos wait that are checked later")
    what = parser.add_argument_group("what answers")
    add_models(what)
    what.add_argument("--policy", default="default", help="a shipped policy or a TOML file (default: default)")
    what.add_argument("--bank", type=Path, metavar="DIR", help="a reference bank to match with: see `nightjar bank`")
    add_lexicons(what)
    what.add_argument("--skip", nargs="+", action="extend", choices=recipes.SKIPPABLE, default=[], help="leave out")
    add_interval(what)
    _add_trial(parser.add_argument_group("who is tried beside it, without changing an answer"))
    how = parser.add_argument_group("how it runs")
    how.add_argument("--placement", choices=[str(name) for name in Placement], default="auto", help=_PLACEMENT)
    how.add_argument("--replicas", type=count, default=0, metavar="N", help=_REPLICAS)
    how.add_argument("--most-replicas", type=count, default=1, metavar="N", help="of a model apart (default: 1)")
    how.add_argument("--reload", type=seconds, default=5.0, metavar="S", help="seconds between looks for new versions")
    how.add_argument("--drain", type=seconds, default=30.0, metavar="S", help="seconds for what runs, on stop")
    how.add_argument("--config", type=Path, metavar="OUT.yaml", help="write a file for `serve deploy`; start nothing")


def _add_trial(trial: argparse._ArgumentGroup) -> None:
    trial.add_argument(
        "--challenger", choices=ALIASES, metavar="ALIAS", help="models registered so; else the champions"
    )
    trial.add_argument("--challenger-policy", metavar="POLICY", help="a shipped policy or a TOML file")
    trial.add_argument("--shadow", type=_share, metavar="SHARE", help="of the uploads that it sees (default: 0.05)")


_REPLICAS = "of the ingress (default: 1; a core, as memory allows, where models live in it on the CPU of one machine)"
_PLACEMENT = "a deployment a model, all models in the ingress, or as the machine suggests (default: auto)"


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop, or write the config file."""
    refuse_open(args.host, args.keys)
    service = service_of(args)
    if args.config:
        return _write_config(args.config, service, args.host, args.port)
    _check_keys(args.keys)
    try:
        with _told_to_stop():
            found = plan(service)
            _check_bank(found)
            _check_challenger(service)
            with _up(args.host, args.port, service, found) as up:
                _serve(found, up)
    except (_Stop, SystemExit):  # Ray's handler exits
        progress.say("stopped before it was ready")
    return 0


def service_of(args: argparse.Namespace) -> Service:
    """The arguments as the application takes them; paths whole, because replicas start elsewhere."""
    if args.shadow and not (args.challenger or args.challenger_policy):
        raise UsageError(f"--shadow {args.shadow:g} has nobody to try; give --challenger or --challenger-policy")
    return Service(
        bundle=args.bundle,
        alias=args.alias,
        policy=_policy(args.policy),
        bank=_whole(args.bank),
        lexicons=tuple(str(path.absolute()) for path in args.lexicon),
        skip=tuple(args.skip),
        interval_ms=round(args.interval * 1000),
        offline=args.offline,
        placement=Placement(args.placement),
        replicas=args.replicas,
        most_replicas=args.most_replicas,
        reload_s=args.reload,
        drain_s=args.drain,
        videos=_whole(args.videos),
        keys=_whole(args.keys),
        door={"allow": args.allow} if args.allow else {},
        challenger=args.challenger,
        challenger_policy=_policy(args.challenger_policy) if args.challenger_policy else None,
        **({"shadow": args.shadow} if args.shadow else {}),
    )


def _policy(named: str) -> str:
    """A file by its whole path, a shipped policy by its name."""
    return str(Path(named).absolute()) if Path(named).is_file() else named


def refuse_open(host: str, keys: Path | None) -> None:
    """Raise UsageError where strangers could call."""
    if not keys and not is_loopback(host):
        raise UsageError(f"--host {host} can be reached from outside and there are no keys; give --keys FILE")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address; a name that is not `localhost` counts as outside."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_keys(keys: Path | None) -> None:
    if keys and not keys.is_file():
        raise UsageError(f"there is no file of keys at {keys}; `nightjar keys create NAME --keys {keys}` makes one")


def _check_bank(found: Plan) -> None:
    if found.bank:
        from pipelines.copyright.bank.reader import BankReader

        BankReader.open(found.bank).space.demand(found.bundle.tower.source)


def _check_challenger(service: Service) -> None:
    """A policy that is none is said at once; models that cannot be had cost the champion nothing."""
    if service.tried:
        load_policy(service.tried.policy)


def _write_config(path: Path, service: Service, host: str, port: int) -> int:
    from pipelines.serving.application import config

    text = yaml.safe_dump(config(service, host, port), sort_keys=False)
    path.write_text(f"# For `serve deploy`: one application of Nightjar.\n{text}")
    print(path)
    return 0


@dataclass(frozen=True)
class Up:
    """A service on the Ray that is there for it, and the address that answers."""

    service: Service
    room: Room
    address: str


@contextmanager
def _up(host: str, port: int, service: Service, found: Plan) -> Iterator[Up]:
    """Ray and Ray Serve.

    Proxies answer on a cluster, which may have many machines; on a Ray of our own the replicas do, through a relay,
    and count together what they count. The relay listens before Ray starts, whose processes take ports as they come.
    """
    from pipelines.serving.application import ENVIRONMENT, Layout, direct_ingress

    own = not os.environ.get("RAY_ADDRESS")
    block = free_block() if own else range(0)
    for name, value in (ENVIRONMENT | direct_ingress(block)).items():
        os.environ.setdefault(name, value)
    with ExitStack() as after:
        relay = after.enter_context(closing(_relay(host, port, block))) if own else None
        resources = after.enter_context(session.ray_up())
        from pipelines.serving.running import start

        room = Room.of(resources)
        after.enter_context(_told_to_stop())  # again: Ray puts a handler of its own in place of ours
        if relay:
            service = replace(service, shared=after.enter_context(TemporaryDirectory(prefix="nightjar-serve-")))
            relay.expected = Layout.of(service, [ref.spec for ref in found.bundle.models], room).replicas
            start(HERE, block[0])
        else:
            start(host, port)
        yield Up(service, room, written(host, port))


def _relay(host: str, port: int, block: range) -> Relay:
    try:
        return Relay(host, port, block)
    except OSError as error:
        why = str(error.strerror).rpartition(": ")[2]  # asyncio's begins with the address
        raise UsageError(f"nothing can listen on {host} port {port}: {why}") from error


def _serve(found: Plan, up: Up) -> None:
    from pipelines.serving import running

    began, service = time.monotonic(), up.service
    placement, models = service.placement.on(up.room), len(found.bundle.models)
    progress.say(f"loading {models} models of bundle {found.bundle.id}, {placement}, with policy {found.policy.id}")
    try:
        with progress.console.status("models are loading"):
            running.deploy(service, up.room)
        progress.say(f"ready after {time.monotonic() - began:.0f} s: http://{up.address} (stop with Ctrl-C or SIGTERM)")
        signal.pause()
    except _Stop:
        progress.say(f"stopping: what runs has {service.drain_s:g} s to end")
        running.stop(service.drain_s)


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """Both signals raise _Stop once; a second one ends the process at once, as it would have."""

    def stop(*_: Any) -> None:
        for number in before:
            signal.signal(number, signal.default_int_handler)
        raise _Stop

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _whole(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share, allowed are more than 0 and at most 1")
    return share


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port, allowed are 1 to 65535")
    return int(text)


if __name__ == "__main__":
    from jobs.cli import main

    main(["serve", *sys.argv[1:]])
