"""The cluster of a schedule: images, disks, and the pods of the head, of those that decode and those that look."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from model_registry.errors import UsageError
from pipelines.risk.kinds import Kind, hold_to, is_tables, is_text, is_whole

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
QUANTITY = re.compile(r"[1-9]\d*(Mi|Gi|Ti)")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?")  # RFC 1123; a CronJob's name leaves 11 characters for its jobs
VARIABLE = re.compile(r"[A-Za-z_]\w*")
SECRETIVE = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|(ACCESS|API|PRIVATE)_?KEY", re.IGNORECASE)


def _matching(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_labels(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_variables(value: object) -> bool:
    return isinstance(value, list) and all(_matching(VARIABLE)(name) for name in value)


def _whole(low: int, high: int) -> Kind:
    return Kind(f"a whole number from {low} to {high}", lambda value: is_whole(value) and low <= value <= high)


SIZE = Kind("an amount such as '64Gi'", _matching(QUANTITY))
NAMED = Kind("a name of small letters, digits and '-', of up to 53 characters", _matching(NAME))
IMAGE = Kind("an image with its tag or digest", lambda value: is_text(value) and not re.search(r"\s", value))
LABELS = Kind("a table of texts", _is_labels)
PODS_KEYS = {
    "cpu": Kind("a whole number from 1 to 512", lambda value: is_whole(value) and 1 <= value <= 512, required=True),
    "memory": Kind(SIZE.words, SIZE.fits, required=True),
    "gpus": _whole(0, 64),
    "min": _whole(0, 10_000),
    "max": _whole(1, 10_000),
    "node_selector": LABELS,
    "tolerations": Kind("a list of tables", is_tables),
}
TOLERATION_KEYS = {
    "key": Kind("a taint's key", is_text, required=True),
    "operator": Kind("one of Exists, Equal", lambda value: value in ("Exists", "Equal")),
    "value": Kind("a text", lambda value: isinstance(value, str)),
    "effect": Kind(f"one of {', '.join(EFFECTS)}", lambda value: value in EFFECTS),
}
KEYS = {
    "name": NAMED,
    "namespace": Kind(NAMED.words, NAMED.fits, required=True),
    "image": Kind(IMAGE.words, IMAGE.fits, required=True),
    "kubectl_image": Kind(IMAGE.words, IMAGE.fits, required=True),
    "service_account": Kind(NAMED.words, NAMED.fits, required=True),
    "secret": NAMED,
    "secret_env": Kind("a list of names of environment variables", _is_variables),
    "env": LABELS,
    "spill": SIZE,
    "home": SIZE,
    "deadline_hours": _whole(1, 168),
    "retries": _whole(0, 10),
    "head": Kind("a table headed [kubernetes.head]", _is_table, required=True),
    "decode": Kind("a table headed [kubernetes.decode]", _is_table, required=True),
    "look": Kind("a table headed [kubernetes.look]", _is_table),
}


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Pods of one kind: what each asks for, how many there may be, where they run."""

    cpu: int
    memory: str
    gpus: int = 0
    min: int = 0
    max: int = 1
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse bounds that cross."""
        if self.min > self.max:
            raise UsageError(f"min is {self.min}, wanted at most max, {self.max}")


@dataclass(frozen=True, kw_only=True)
class Kubernetes:
    """What the manifests need to know."""

    namespace: str
    image: str
    kubectl_image: str
    service_account: str
    head: Pods
    decode: Pods
    look: Pods | None = None
    name: str = "nightjar"
    secret: str | None = None
    secret_env: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    spill: str = "100Gi"
    home: str = "20Gi"
    deadline_hours: int = 20
    retries: int = 2

    def __post_init__(self) -> None:
        """Refuse secrets, names of variables that are none, and secret variables without a Secret."""
        for name in self.env:
            if not VARIABLE.fullmatch(name):
                raise UsageError(f"kubernetes: env has {name!r}, wanted names of environment variables")
            if SECRETIVE.search(name):
                raise UsageError(f"kubernetes: env has {name!r}, wanted nothing secret; put it into secret_env")
        if self.secret_env and not self.secret:
            raise UsageError(f"kubernetes: secret_env is {list(self.secret_env)} without secret, wanted its name")


def parse_kubernetes(data: Mapping[str, Any]) -> Kubernetes:
    """Build it from parsed TOML; raises UsageError that names the table, the key and what is allowed."""
    hold_to(KEYS, data, "kubernetes")
    given = {name: value for name, value in data.items() if name not in ("head", "decode", "look", "secret_env")}
    pods: dict[str, Any] = {
        name: _pods(data[name], f"kubernetes.{name}") for name in ("head", "decode", "look") if name in data
    }
    return Kubernetes(**given, **pods, secret_env=tuple(data.get("secret_env", ())))


def _pods(data: Mapping[str, Any], where: str) -> Pods:
    hold_to(PODS_KEYS, data, where)
    tolerations = tuple(data.get("tolerations", ()))
    for number, row in enumerate(tolerations, 1):
        hold_to(TOLERATION_KEYS, row, f"{where}: toleration {number}")
    try:
        return Pods(**{**data, "tolerations": tolerations})
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
