"""An http address taken apart, unless two programs could read it differently."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

LONGEST_URI = 8192  # a signed address with a session's token has some 2,000
PORTS = {"https": 443, "http": 80}
AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?")
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")  # as the last label it makes the host an IPv4 address (WHATWG URL 3.5)
LONGEST_NAME = 253
NO_HOST = "names no host: neither a name of letters, digits and hyphens nor an address in its usual form"


@dataclass(frozen=True)
class Target:
    """Where a request goes. The host is a name in lower case, or an address as `ipaddress` writes it."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @classmethod
    def of(cls, uri: str) -> Target:
        """Take an address apart; raises ValueError with a clause that follows "the uri"."""
        if len(uri) > LONGEST_URI:
            raise ValueError(f"has {len(uri)} characters, allowed are {LONGEST_URI}")
        if not uri.isascii() or not uri.isprintable() or set(uri) & set(' \\"<>^`{|}'):
            raise ValueError("has characters other than ASCII's for addresses; a name in another script is xn--...")
        parts = _split(uri)
        if parts.scheme not in PORTS:
            raise ValueError(f"has the scheme {parts.scheme[:16] or 'none'}; allowed are https, and http where listed")
        found = AUTHORITY.fullmatch(parts.netloc.lower())
        if not found:
            raise ValueError("has something else than a host and a port between // and /")
        port = int(found["port"] or PORTS[parts.scheme])
        if not 1 <= port <= 65535:
            raise ValueError(f"has the port {port}, allowed are 1 to 65535")
        return cls(parts.scheme, _host(found["host"]), port, parts.path or "/", parts.query)

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def resource(self) -> str:
        """What the request's first line asks for."""
        return self.path + (f"?{self.query}" if self.query else "")

    @property
    def uri(self) -> str:
        """The whole, as a redirect relative to it needs it."""
        return f"{self.scheme}://{self.authority}{self.resource}"


def _split(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError:
        raise ValueError(NO_HOST) from None


def _host(host: str) -> str:
    """Refuse every second spelling of a number: `2130706433`, `0x7f.1`, `0177.0.0.1`, `[::1%eth0]`."""
    labels = host.split(".")
    try:
        if host.startswith("["):
            return str(ipaddress.IPv6Address(host[1:-1]))
        if NUMERIC.fullmatch(labels[-1]):
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise ValueError(NO_HOST) from None
    if len(host) > LONGEST_NAME or not all(LABEL.fullmatch(label) for label in labels):
        raise ValueError(NO_HOST)
    return host
