"""One GET to an address that was checked; what went wrong is a sentence that says no more than it must."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse

from pipelines.serving.contract import Refused
from pipelines.serving.http.target import Target
from pipelines.serving.http.wire import Deadline, Line, connected, secured

HEADERS = {"accept": "*/*", "accept-encoding": "identity", "connection": "close", "user-agent": "nightjar"}
AROUND_BYTES = 1 << 20  # headers, chunk sizes and trailers, and as much again as the body may have


@dataclass(frozen=True)
class FetchLimits:
    """Past any of these there is no file."""

    max_bytes: int = 256 << 20
    max_redirects: int = 3
    connect_s: float = 3.0  # the name, one address, or TLS
    read_s: float = 10.0  # without a byte
    total_s: float = 60.0  # all of it, redirects too

    def __post_init__(self) -> None:
        """Refuse limits under which nothing is ever fetched."""
        for name in ("max_bytes", "connect_s", "read_s", "total_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"fetch limit {name} is {getattr(self, name)}, must be above 0")
        if self.max_redirects < 0:
            raise ValueError(f"fetch limit max_redirects is {self.max_redirects}, must be at least 0")


@contextmanager
def answered(
    target: Target, addresses: Sequence[str], context: ssl.SSLContext, limits: FetchLimits, deadline: Deadline
) -> Iterator[HTTPResponse]:
    """Ask once, and hang up at the end. No name is looked up here; raises Refused."""
    with network():
        wire = connected(addresses, target.port, limits.connect_s, deadline)
    with wire:  # what TLS takes over is closed by its own `with`
        with network():
            if target.scheme == "https":
                wire = secured(wire, target.host, context, limits.connect_s, deadline)
        with wire:
            with network():
                line = Line(wire, limits.read_s, deadline, 2 * limits.max_bytes + AROUND_BYTES)
                answer = _asked(line, target)
            yield answer


def _asked(line: Line, target: Target) -> HTTPResponse:
    connection = HTTPConnection(target.host, target.port)
    connection.sock = line
    connection.request("GET", target.resource, headers={"host": target.authority, **HEADERS})
    answer = connection.getresponse()
    line.may_end = True
    return answer


@contextmanager
def network() -> Iterator[None]:
    """Turn what fails on the way into Refused: neither the address nor the system's words reach the caller."""
    try:
        yield
    except TimeoutError:
        raise failed("was not answered in time") from None
    except ssl.SSLCertVerificationError:
        raise failed("has a host whose certificate is not valid for it") from None
    except (OSError, HTTPException, ValueError):
        raise failed("was not answered as http does it, or not to the end") from None


def failed(what: str) -> Refused:
    """422: the place is allowed, and no whole file came from it."""
    return Refused(422, "uri_failed", f"the uri {what}")
