"""The load generator, a process of its own: closed loops of so many clients, open loops of so many requests a second.

In an open loop arrivals are a Poisson process that waits for nobody, and a request's time runs from when it was due: a
server that falls behind cannot slow its callers down and so look better (Tene's "coordinated omission").
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

PATIENCE_S = 120.0
MOST_OPEN = 2_000  # requests under way, in an open loop


BOUNDARY = "picture-and-title-1f0c7c1e5b"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@dataclass(frozen=True)
class Phase:
    """A stretch of load: either so many `clients`, or a `rate` of requests a second."""

    name: str
    seconds: float
    clients: int = 0
    rate: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What is sent where."""

    url: str
    pictures: list[str]
    form: dict[str, str]
    phases: list[Phase]

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read what `write` wrote."""
        fields = json.loads(path.read_text())
        return cls(**{**fields, "phases": [Phase(**phase) for phase in fields["phases"]]})

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))


@dataclass
class Seen:
    """What came back in one phase."""

    name: str
    seconds: float = 0.0
    answered_ms: list[float] = field(default_factory=list)  # of answers with status 200
    refused_ms: list[float] = field(default_factory=list)  # 429 and 503
    without_retry_after: int = 0  # of those
    failed: int = 0  # anything else


def form(fields: Mapping[str, str], picture: bytes) -> bytes:
    """A form with a file (RFC 7578), sent at once: aiohttp's own costs a third more of the cores that servers need."""
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{fields[key]}\r\n' for key in fields]
    file = 'Content-Disposition: form-data; name="file"; filename="picture.jpg"\r\nContent-Type: image/jpeg'
    head = "".join([*parts, f"--{BOUNDARY}\r\n{file}\r\n\r\n"])
    return head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()


class Caller:
    """Sends one request after another of a plan."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession) -> None:
        self.plan, self.session = plan, session
        self.pictures = [Path(path).read_bytes() for path in plan.pictures]
        self.sent = 0

    async def call(self, seen: Seen, due: float) -> None:
        """Send one, and note what came of it."""
        self.sent += 1
        body = form({**self.plan.form, "title": f"{self.plan.form['title']} {self.sent}"}, self._picture())
        try:
            async with self.session.post(self.plan.url, data=body, headers=FORM) as response:
                await response.read()
                took_ms = (time.perf_counter() - due) * 1000
                if response.status == 200:
                    seen.answered_ms.append(took_ms)
                elif response.status in (429, 503):
                    seen.refused_ms.append(took_ms)
                    seen.without_retry_after += "Retry-After" not in response.headers
                else:
                    seen.failed += 1
        except (aiohttp.ClientError, TimeoutError):
            seen.failed += 1

    def _picture(self) -> bytes:
        return self.pictures[self.sent % len(self.pictures)]

    async def closed(self, phase: Phase, seen: Seen) -> None:
        """Every client sends its next request when the last is answered."""
        until = time.perf_counter() + phase.seconds

        async def client() -> None:
            while (now := time.perf_counter()) < until:
                await self.call(seen, now)

        await asyncio.gather(*(client() for _ in range(phase.clients)))

    async def opened(self, phase: Phase, seen: Seen) -> None:
        """Requests come when they come."""
        chance, under_way = random.Random(0), set[asyncio.Task[None]]()
        due = time.perf_counter()
        until = due + phase.seconds
        while (due := due + chance.expovariate(phase.rate)) < until:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if len(under_way) < MOST_OPEN:
                task = asyncio.create_task(self.call(seen, due))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            else:
                seen.failed += 1
        await asyncio.gather(*under_way)


async def run(plan: Plan) -> list[dict[str, Any]]:
    """One phase after the other."""
    found = []
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        caller = Caller(plan, session)
        for phase in plan.phases:
            seen, began = Seen(phase.name), time.perf_counter()
            await (caller.closed if phase.clients else caller.opened)(phase, seen)
            seen.seconds = time.perf_counter() - began
            found.append(asdict(seen))
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Plan.read(Path(sys.argv[1]))))))
