"""The places that a request may name: `scheme://host[:port][/prefix]`, and nothing that is not written down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from model_registry.errors import UsageError
from pipelines.serving.http.addresses import Address, is_inside, is_public, number
from pipelines.serving.http.target import Target

PRIVATE = "private+"
WILDCARD = "*."
MOST_DECODED = 4  # times that one server after another decodes a path; one encoded more often is suspect by itself
FORM = "scheme://host[:port][/prefix] with https or http, as in https://media.example.com or https://*.example.com"


@dataclass(frozen=True)
class Allowed:
    """One entry. `*.example.com` is every name below example.com, not that name itself.

    A name leads to public addresses only. After `private+` it may lead to private ones too, for the storage of the
    house; an address that is written as a number is allowed as it stands. Metadata is reached by its number only.
    """

    scheme: str
    host: str
    port: int
    prefix: str  # of whole segments
    below: bool = False
    private: bool = False

    @classmethod
    def of(cls, entry: str) -> Allowed:
        """Read one; raises UsageError."""
        rest = entry.removeprefix(PRIVATE)
        scheme, slashes, place = rest.partition("://")
        below = place.startswith(WILDCARD)
        try:
            target = Target.of(f"{scheme}{slashes}{place.removeprefix(WILDCARD)}")
        except ValueError as error:
            raise UsageError(f"allowed place {entry!r} {error}; wanted {FORM}") from None
        if target.query or "#" in entry or _climbs(target.path):
            raise UsageError(f"allowed place {entry!r} has a query, a fragment or dots for a segment; wanted {FORM}")
        private = rest != entry
        if below and (private or number(target.host) or "." not in target.host):
            raise UsageError(f"allowed place {entry!r} has a * before a number, one label or a private name")
        return cls(target.scheme, target.host, target.port, target.path, below, private)

    def covers(self, target: Target) -> bool:
        """Whether the entry names that place; what its name leads to is another question."""
        return (self.scheme, self.port) == (target.scheme, target.port) and self._named(target) and self._under(target)

    def admits(self, address: str) -> bool:
        """Whether the name of the entry may lead there."""
        at: Address | None = number(address)
        return address == self.host or is_public(at) or (self.private and is_inside(at))

    def _named(self, target: Target) -> bool:
        return target.host.endswith(f".{self.host}") if self.below else target.host == self.host

    def _under(self, target: Target) -> bool:
        if self.prefix == "/":
            return True
        folder = self.prefix.rstrip("/") + "/"
        return (target.path == self.prefix or target.path.startswith(folder)) and not _climbs(target.path)


def read(entries: Iterable[str]) -> tuple[Allowed, ...]:
    """All entries, in order."""
    return tuple(Allowed.of(entry) for entry in entries)


def _climbs(path: str) -> bool:
    """Whether a server could take a path for one that leaves its folder, however often it decodes it."""
    for _ in range(MOST_DECODED):
        path = unquote(path)
    if path != unquote(path):
        return True
    segments = path.replace("\\", "/").split("/")
    return any(segment.split(";")[0] in {".", ".."} for segment in segments)
