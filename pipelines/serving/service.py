"""What a service is asked to run, in plain values that a config file holds, and what they stand for now."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from model_registry import store
from model_registry.bundles import Bundle, PinnedBundle, bundle_named, pin
from model_registry.errors import UsageError
from pipelines.decode.limits import Sampling
from pipelines.risk.policy import Policy, load_policy
from pipelines.serving.placement import Placement
from pipelines.text.words.lexicon import Lexicons, with_shipped

APP = "nightjar"


@dataclass(frozen=True)
class Service:
    """The arguments of the application. Paths are of every machine that runs a replica."""

    bundle: str = "lite"
    alias: str = "champion"
    policy: str = "default"
    bank: str | None = None
    lexicons: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()  # speech, ocr, text
    interval_ms: int = 1000  # between the frames of a video
    offline: bool = False
    placement: Placement = Placement.AUTO
    replicas: int = 0  # of the ingress; 0: as suits the machine, see Layout
    most_replicas: int = 1  # of each model that lives apart
    shared: str | None = None  # a folder where replicas of one machine count together; None: each for itself
    workers: int = 0  # uploads that one ingress replica looks at at once; 0: one a core and two more
    reload_s: float = 5.0
    drain_s: float = 30.0
    keys: str | None = None  # the file of those who may call
    videos: str | None = None  # the folder of those that are checked later; None: no such route
    door: Mapping[str, Any] = field(default_factory=dict)  # limits and allow-lists, as the door's settings name them
    challenger: str | None = None  # an alias: what it names is tried beside what answers
    challenger_policy: str | None = None  # tried beside `policy`, with the challenger's models or with the same
    shadow: float = 0.05  # of the uploads, that the challenger looks at too

    def __post_init__(self) -> None:
        """Refuse numbers that make no service."""
        object.__setattr__(self, "placement", Placement(self.placement))
        for name, least in {"replicas": 0, "most_replicas": 1, "interval_ms": 1}.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}, must be at least {least}")
        for name in ("reload_s", "drain_s"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} is {getattr(self, name):g}, must be more than 0")
        if not 0 < self.shadow <= 1:
            raise UsageError(f"shadow is {self.shadow:g}, must be more than 0 and at most 1")
        if self.challenger is not None:
            store.check_alias(self.challenger)
        if (tried := self.tried) and (tried.alias, tried.policy) == (self.alias, self.policy):
            raise UsageError(f"the challenger has alias {self.alias} and policy {self.policy}: that is what answers")

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Self:
        """Read the arguments of a config file; raises UsageError for names and values that are not known."""
        known = {found.name for found in dataclasses.fields(cls)}
        if unknown := sorted(set(args) - known):
            raise UsageError(f"a service has no {', '.join(unknown)}; allowed: {', '.join(sorted(known))}")
        if (named := args.get("placement", "auto")) not in set(Placement):
            raise UsageError(f"placement {named!r} is not known; allowed: {', '.join(Placement)}")
        lists = {name: tuple(args[name]) for name in ("lexicons", "skip") if name in args}
        return cls(**{**args, **lists})

    @property
    def args(self) -> dict[str, Any]:
        """What `of` reads, for a config file: only what differs from the defaults."""
        fresh = type(self)()
        said = {found.name: getattr(self, found.name) for found in dataclasses.fields(self)}
        plain = {name: value for name, value in said.items() if value != getattr(fresh, name)}
        return {name: _plain(value) for name, value in plain.items()}

    @property
    def tried(self) -> Service | None:
        """The same service with the challenger in the champion's place; None where nobody is tried."""
        if self.challenger is None and self.challenger_policy is None:
            return None
        alias, policy = self.challenger or self.alias, self.challenger_policy or self.policy
        return replace(self, alias=alias, policy=policy, challenger=None, challenger_policy=None)

    @property
    def models(self) -> Bundle:
        """The bundle's names, without what is skipped."""
        return bundle_named(self.bundle).without(*self.skip)

    @property
    def sampling(self) -> Sampling:
        """Which frames are looked at, as the nightly job would."""
        return Sampling(interval_ms=self.interval_ms, frame_side=self.models.frame_side)


def _plain(value: Any) -> Any:
    if isinstance(value, Placement):
        return value.value
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


@dataclass(frozen=True)
class Plan:
    """What the names of a service stand for: every version pinned, its files on this machine."""

    bundle: PinnedBundle
    policy: Policy
    lexicons: Lexicons | None = None
    bank: Path | None = None


def plan(service: Service) -> Plan:
    """Resolve the names once, as the nightly job does on its driver."""
    bundle = pin(service.models, service.alias, download=not service.offline)
    lexicons = None if "text" in service.skip else with_shipped(service.lexicons)
    return Plan(bundle, load_policy(service.policy), lexicons, Path(service.bank) if service.bank else None)


def versions(service: Service) -> tuple[str, ...]:
    """Say cheaply what the names stand for now; another answer means that another plan is due. Fetches nothing."""
    models = [f"{name} {_registered(name, service.alias)}" for name in service.models.models]
    files = [path for path in (Path(service.policy), *map(Path, service.lexicons)) if path.exists()]
    return (*models, *(_digest(path) for path in files), _bank_version(service.bank))


def _registered(name: str, alias: str) -> str:
    found = store.registered_versions(name)
    for tried in (alias, "champion"):
        for version, aliases in found.items():
            if tried in aliases:
                return version
    return "built in"


def _digest(path: Path) -> str:
    files = sorted(path.rglob("*.toml")) if path.is_dir() else [path]
    return hashlib.sha256(b"\n".join(file.read_bytes() for file in files)).hexdigest()


def _bank_version(folder: str | None) -> str:
    if not folder:
        return ""
    from pipelines.copyright.bank.reader import BankReader

    return BankReader.open(Path(folder)).version
