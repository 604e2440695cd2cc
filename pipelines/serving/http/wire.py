"""A connection to addresses that were checked, on which no wait outlasts its deadline."""

from __future__ import annotations

import errno
import io
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass

MOST_ADDRESSES = 4  # of one name that are tried


@dataclass(frozen=True)
class Deadline:
    """When all must have ended, by `time.monotonic`."""

    until: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """So long from now."""
        return cls(time.monotonic() + seconds)

    def left_s(self, at_most: float) -> float:
        """How long one step may wait; raises TimeoutError where nothing is left."""
        left_s = min(at_most, self.until - time.monotonic())
        if left_s <= 0:
            raise TimeoutError
        return left_s


def connected(addresses: Sequence[str], port: int, step_s: float, deadline: Deadline) -> socket.socket:
    """The first that takes the call. `addresses` are numbers: no name is looked up here."""
    fault: OSError | None = None
    for address in addresses[:MOST_ADDRESSES]:
        try:
            return socket.create_connection((address, port), deadline.left_s(step_s))
        except OSError as error:
            fault = error
    raise fault or TimeoutError


def secured(
    plain: socket.socket, host: str, context: ssl.SSLContext, step_s: float, deadline: Deadline
) -> ssl.SSLSocket:
    """TLS with the name's certificate; an end that the other side did not announce is an error, not the end."""
    plain.settimeout(deadline.left_s(step_s))
    return context.wrap_socket(plain, server_hostname=host, suppress_ragged_eofs=False)


class Line:
    """As much of a socket as `http.client` uses, for one answer of at most so many bytes, its headers included.

    Every wait ends with the deadline, so a byte now and then cannot outlast it. An end before `may_end` is an error:
    `http.client` takes headers that were cut off for all of them.
    """

    may_end = False

    def __init__(self, wire: socket.socket, step_s: float, deadline: Deadline, most_bytes: int) -> None:
        self._wire, self._step_s, self._deadline, self._left_bytes = wire, step_s, deadline, most_bytes

    def sendall(self, data: bytes) -> None:
        """Send all of it in time."""
        self._wire.settimeout(self._deadline.left_s(self._step_s))
        self._wire.sendall(data)

    def recv_into(self, buffer: memoryview) -> int:
        """Wait for some bytes; 0 is the end."""
        self._wire.settimeout(self._deadline.left_s(self._step_s))
        size = self._wire.recv_into(buffer)
        self._left_bytes -= size
        if self._left_bytes < 0:
            raise OSError(errno.EMSGSIZE, "an answer has more bytes than it may have")
        if size == 0 and not self.may_end:
            raise ConnectionResetError(errno.ECONNRESET, "an answer ended within its headers")
        return size

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What an answer is read from."""
        return io.BufferedReader(_Incoming(self))

    def close(self) -> None:
        """Do nothing: an answer is read after its connection object is done; who connected hangs up."""


class _Incoming(io.RawIOBase):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._line.recv_into(buffer)
