"""Carries callers' connections to the ingress replicas of this machine; Ray Serve's proxy is for when none is there.

A replica of Ray Serve can listen by itself ("direct ingress"), which spares a request the proxy: on two cores a bare
ingress answers in 1.1 instead of 5.6 ms. What the proxy is good for then has to be had elsewhere: one address whichever
replica lives, an answer for callers whose replica died, and requests that wait while another starts.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from model_registry.errors import NightjarError
from pipelines.serving.proxy import BODY

HERE = "127.0.0.1"
BACKLOG = 2048
LINGER_S = 2.0  # after a caller was told that its replica is gone
CLOSE_S = 5.0  # for connections that were cut off to be gone
PORTS = 16  # of the replicas, and before them the proxy's: a port rests for a while when its replica has gone
FIRST, LAST = 20_000, 32_000  # where blocks of them are looked for: below the ports that outgoing connections take
BEGINS = re.compile(rb"[A-Z]{3,7} /")  # a request, and no more of the body of one that was answered early
LOST = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n"
LOST += b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY)


def written(host: str, port: int) -> str:
    """As an address has it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def free_block() -> range:
    """Ports of this machine that nobody has: the first for a proxy, the others for replicas.

    Any such block: two services that start together, and have taken none of theirs yet, would find the same first one.
    """
    firsts = range(FIRST, LAST - PORTS, PORTS + 1)
    for first in random.sample(firsts, len(firsts)):
        block = range(first, first + PORTS + 1)
        if all(map(is_free, block)):
            return block
    raise NightjarError(f"no {PORTS + 1} neighbouring ports from {FIRST} to {LAST} are free for the service's replicas")


def is_free(port: int) -> bool:
    """Whether nobody of this machine has a port."""
    with socket.socket() as tried, suppress(OSError):
        tried.bind((HERE, port))
        return True
    return False


class Relay:
    """Listens in a thread of its own until it is closed; raises OSError where it cannot."""

    def __init__(self, host: str, port: int, block: Sequence[int]) -> None:
        """Look for replicas on the ports of a block that follow the proxy's."""
        self.expected = 1  # replicas; set where there are to be more
        self._proxy, *self._replicas = block
        self._open: dict[int, int] = {}  # replica's port -> connections
        self._coming = Counter[int]()  # replica's port -> connections that are being made
        self.callers: set[Caller] = set()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            self._loop.create_server(lambda: Caller(self), host, port, backlog=BACKLOG)
        )
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    def close(self) -> None:
        """Take no more connections and end those that there are."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def connect(self, caller: Caller) -> Answering:
        """Connect to the replica that has the fewest connections, or to the proxy; raises OSError where none is up.

        One that is being made counts: callers come in crowds, and would all find the same replica without any.
        """
        for port in self._by_load():
            self._coming[port] += 1
            try:
                found = await self._connected(caller, port)
            except OSError:
                self._open.pop(port, None)
            else:
                self._open[port] = self._open.get(port, 0) + 1
                return found
            finally:
                self._coming[port] -= 1
        return await self._connected(caller, self._proxy)

    def closed(self, port: int) -> None:
        """Count one connection less."""
        if port in self._open:
            self._open[port] = max(0, self._open[port] - 1)

    def _by_load(self) -> list[int]:
        """Those that are there, the idlest first; where not all are known the others before them."""
        known = {port for port in self._replicas if port in self._open or self._coming[port]}
        idlest = sorted(known, key=lambda port: self._open.get(port, 0) + self._coming[port])
        others = [port for port in self._replicas if port not in known]
        return [*idlest, *others] if len(known) >= self.expected else [*others, *idlest]

    async def _end(self) -> None:
        self._server.close()
        for caller in self.callers:
            caller.transport.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                while self.callers or any(self._open.values()):
                    await asyncio.sleep(0.01)

    async def _connected(self, caller: Caller, port: int) -> Answering:
        _, answering = await self._loop.create_connection(lambda: Answering(caller, self, port), HERE, port)
        return answering


class Caller(asyncio.Protocol):
    """The caller's end of a connection."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.answering: Answering | None = None
        self.waits = False  # for the first byte of an answer
        self.alone = False  # nobody is there who could answer
        self.told = False  # that whoever was to answer is gone

    def connection_made(self, transport: Any) -> None:
        """Look for who answers; nothing is read meanwhile."""
        self.transport = transport
        self.relay.callers.add(self)
        transport.pause_reading()
        self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        try:
            self.answering = await self.relay.connect(self)
        except OSError:
            self.alone = True
            self.transport.resume_reading()
            return
        if self.transport.is_closing():
            self.answering.transport.close()
        else:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Hand on."""
        if self.told:
            return
        if not self.waits and BEGINS.match(data):
            self.waits = True
        if self.answering:
            self.answering.transport.write(data)
        elif self.alone:
            self.lost()

    def pause_writing(self) -> None:
        """The caller reads slowly."""
        if self.answering:
            self.answering.transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self.answering:
            self.answering.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Whoever answers need not go on."""
        self.relay.callers.discard(self)
        self._connecting.cancel()
        if self.answering:
            self.answering.transport.close()

    def lost(self) -> None:
        """Nobody answers any more: say so to a caller that has had no byte of its answer, and close.

        What it still sends is read for a moment: closing on unread bytes resets the connection, and the words are lost.
        """
        if not self.waits or self.transport.is_closing():
            self.transport.close()
            return
        self.told = True
        self.transport.write(LOST)
        self.transport.write_eof()
        self.transport.resume_reading()
        asyncio.get_running_loop().call_later(LINGER_S, self.transport.close)


class Answering(asyncio.Protocol):
    """The replica's end, or the proxy's."""

    def __init__(self, caller: Caller, relay: Relay, port: int) -> None:
        self.caller, self.relay, self.port = caller, relay, port

    def connection_made(self, transport: Any) -> None:
        """Keep what writes."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand on."""
        self.caller.waits = False
        self.caller.transport.write(data)

    def pause_writing(self) -> None:
        """Whoever answers reads slowly: so does the caller write."""
        self.caller.transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        self.caller.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The replica has closed, or died."""
        self.relay.closed(self.port)
        self.caller.lost()
