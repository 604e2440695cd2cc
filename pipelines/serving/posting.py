"""Post to an address that a stranger named: https, public, the very address that was checked, and no further."""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from urllib.parse import SplitResult, urlsplit

from pipelines.serving.contract import Refused
from pipelines.serving.courier import Posted, PostError
from pipelines.serving.http.addresses import Resolve, is_public, number, resolve
from pipelines.serving.http.wire import Deadline, connected

LONGEST_URL = 2048
RESOLVE_S = 30.0  # what a resolver takes at most before it gives up by itself
PORTS = {"https": 443, "http": 80}


class SafePoster:
    """A Poster. `allowed` names origins, `scheme://host:port`, that may be private or http too; all others not."""

    def __init__(
        self,
        allowed: Collection[str] = (),
        timeout_s: float = 10.0,
        resolve: Resolve = resolve,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = {origin(urlsplit(each)) for each in allowed}
        self._timeout_s, self._resolve = timeout_s, resolve
        self._context = context or ssl.create_default_context()

    @property
    def longest_s(self) -> float:
        """The name, and all that comes after it."""
        return RESOLVE_S + self._timeout_s

    def check(self, url: str) -> None:
        """Raise Refused for what will never do: other schemes, names and passwords, private addresses as numbers."""
        parts = _parts(url)
        if origin(parts) in self._allowed:
            return
        if parts.scheme != "https":
            raise _refused("is not https")
        host = parts.hostname or ""
        if host == "localhost" or host.endswith(".localhost") or (number(host) and not is_public(number(host))):
            raise _refused("is not public")

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Posted:
        """Post once within `timeout_s`, after the name was found; what the answer's body says is not read."""
        self.check(url)
        parts = _parts(url)
        try:
            addresses = self._addresses(parts)
            with self._line(parts, addresses, time.monotonic() + self._timeout_s) as wire:
                return _exchange(wire, parts, headers, body)
        except (OSError, HTTPException, UnicodeError) as error:
            raise PostError(type(error).__name__) from error

    def _addresses(self, parts: SplitResult) -> Sequence[str]:
        """Find a name's addresses once; where the connection goes cannot be another then."""
        addresses = self._resolve(parts.hostname or "", _port(parts))
        if not addresses:
            raise PostError("its name has no address")
        if origin(parts) not in self._allowed and not all(is_public(number(each)) for each in addresses):
            raise PostError("its address is not public")
        return addresses

    @contextmanager
    def _line(self, parts: SplitResult, addresses: Sequence[str], until: float) -> Iterator[socket.socket]:
        """Connect, and hang up when the time is over: a byte now and then would outlast every timeout between bytes."""
        with connected(addresses, _port(parts), self._timeout_s, Deadline(until)) as plain, plain.dup() as handle:
            late = threading.Event()
            watchdog = threading.Timer(max(0.0, until - time.monotonic()), _hang_up, (handle, late))
            watchdog.daemon = True
            watchdog.start()
            try:
                with self._wrapped(plain, parts) as wire:
                    yield wire
            except (OSError, HTTPException) as error:
                raise PostError("no answer in time" if late.is_set() else type(error).__name__) from error
            finally:
                watchdog.cancel()
            if late.is_set():  # an answer that was cut off looks whole
                raise PostError("no answer in time")

    def _wrapped(self, plain: socket.socket, parts: SplitResult) -> socket.socket:
        return plain if parts.scheme == "http" else self._context.wrap_socket(plain, server_hostname=parts.hostname)


def _exchange(wire: socket.socket, parts: SplitResult, headers: dict[str, str], body: bytes) -> Posted:
    connection = HTTPConnection(parts.hostname or "", _port(parts))
    connection.sock = wire
    connection.request("POST", _target(parts), body, {"host": parts.netloc, **headers})
    answer = connection.getresponse()
    return Posted(answer.status, _seconds(answer.headers.get("retry-after", "")))


def origin(parts: SplitResult) -> tuple[str, str, int]:
    """Scheme, host and port: what an allow-list names."""
    return parts.scheme, parts.hostname or "", _port(parts)


def _parts(url: str) -> SplitResult:
    """Take an address apart, unless two programs could read it differently."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or set(url) & set(' \\"<>^`{|}'):
        raise _refused(f"is not printable ASCII of at most {LONGEST_URL} characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("is none") from None
    if parts.scheme not in PORTS or not parts.hostname or port == 0:
        raise _refused("is not https")
    if "@" in parts.netloc or "%" in parts.netloc:
        raise _refused("has a name, a password or a zone in it")
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or PORTS.get(parts.scheme, 0)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _hang_up(wire: socket.socket, late: threading.Event) -> None:
    late.set()
    try:
        wire.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has ended by itself
        return


def _seconds(retry_after: str) -> float | None:
    """A date is not waited for."""
    try:
        seconds = float(retry_after)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _refused(what: str) -> Refused:
    return Refused(400, "webhook_refused", f"the webhook's address {what}; wanted https://host/... that is public")
