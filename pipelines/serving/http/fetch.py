"""Fetch a file that a request names, from the places that are allowed and from no other, into a private file."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin

from pipelines.serving.contract import Refused, no_room
from pipelines.serving.http.addresses import Resolve, number, resolve
from pipelines.serving.http.allowlist import Allowed, read
from pipelines.serving.http.exchange import FetchLimits, answered, failed, network
from pipelines.serving.http.target import Target
from pipelines.serving.http.wire import Deadline

REDIRECTS = frozenset({301, 302, 303, 307, 308})
PIECE = 1 << 16
AT_ONCE = 8  # files on their way; also names that are looked up, for a resolver cannot be stopped


class Fetcher:
    """Fetches what `allowed` covers (see `Allowed`); with an empty list nothing. For any number of callers at once.

    A name is looked up once a step and the connection goes to an address that was checked, so a name that changes
    between the check and the call gains nothing. No proxy, no cookie, no password; redirects are held to the same list.
    """

    def __init__(
        self,
        allowed: Iterable[str],
        limits: FetchLimits | None = None,
        resolve: Resolve = resolve,
        context: ssl.SSLContext | None = None,
        at_once: int = AT_ONCE,
    ) -> None:
        self.allowed, self.limits = read(allowed), limits or FetchLimits()
        self._resolve, self._context = resolve, context or ssl.create_default_context()
        self._names, self._files = ThreadPoolExecutor(at_once, "names"), ThreadPoolExecutor(at_once, "files")
        self._room = threading.Semaphore(at_once)

    def check(self, uri: str) -> None:
        """Raise Refused for what will never do; asks no network."""
        self._target(uri)

    async def fetched(self, uri: str, path: Path) -> int:
        """Do as `fetch` does without blocking the loop; raises Refused with 429 where `at_once` are on their way.

        A caller who leaves frees its place when its file has ended, and may remove the file at once.
        """
        self.check(uri)
        if not self._room.acquire(blocking=False):
            raise no_room("fetching")
        file = self._files.submit(self.fetch, uri, path)
        file.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(file)

    def fetch(self, uri: str, path: Path) -> int:
        """Write what lies at `uri` to the file at `path`, leave that to this user only, return its size in bytes.

        Blocks for `total_s` at most. Raises Refused: 400 for no address, 403 for one that is not allowed, 413 for too
        much, 422 where there was no whole file in time; the file is empty then. OSError is the disk's.
        """
        target = self._target(uri)
        deadline = Deadline.after(self.limits.total_s)
        with _private(path) as out:
            try:
                return self._follow(target, out, deadline)
            except BaseException:
                out.seek(0)
                out.truncate()
                raise

    def close(self) -> None:
        """Let go of the threads."""
        self._files.shutdown(wait=False, cancel_futures=True)
        self._names.shutdown(wait=False, cancel_futures=True)

    def _target(self, uri: str) -> Target:
        try:
            target = Target.of(uri)
        except ValueError as error:
            raise Refused(400, "uri_invalid", f"the uri {error}") from None
        if not self._entries(target):
            raise Refused(403, "uri_not_allowed", "the uri is not in a place that this service may fetch from")
        return target

    def _entries(self, target: Target) -> list[Allowed]:
        return [entry for entry in self.allowed if entry.covers(target)]

    def _follow(self, target: Target, out: BinaryIO, deadline: Deadline) -> int:
        """Every step is held to the list again."""
        for _ in range(self.limits.max_redirects + 1):
            addresses = self._addresses(target, deadline)
            with answered(target, addresses, self._context, self.limits, deadline) as answer:
                if answer.status not in REDIRECTS:
                    return self._save(answer, out)
                target = self._redirected(target, answer.headers.get("location", ""))
        raise failed(f"redirects more than {self.limits.max_redirects} times")

    def _redirected(self, target: Target, location: str) -> Target:
        try:
            wanted = Target.of(urljoin(target.uri, location))
        except ValueError:
            raise failed("redirects to what is no http address") from None
        if target.scheme == "https" and wanted.scheme != "https":
            raise failed("redirects from https to http")
        if not self._entries(wanted):
            raise failed("redirects to a place that this service may not fetch from")
        return wanted

    def _addresses(self, target: Target, deadline: Deadline) -> Sequence[str]:
        """Look the name up once. One without an address and one with a wrong address are told alike."""
        found = [target.host] if number(target.host) else self._looked_up(target, deadline)
        entries = self._entries(target)
        if not found or not all(any(entry.admits(address) for entry in entries) for address in found):
            raise failed("has a host without an address that this service may connect to")
        return found

    def _looked_up(self, target: Target, deadline: Deadline) -> Sequence[str]:
        looking = self._names.submit(self._resolve, target.host, target.port)
        try:
            return looking.result(deadline.left_s(self.limits.connect_s))
        except (OSError, UnicodeError):
            looking.cancel()
            return []

    def _save(self, answer: HTTPResponse, out: BinaryIO) -> int:
        _check_headers(answer)
        self._check_size(answer.length or 0)
        size = 0
        while piece := _piece(answer):
            size += len(piece)
            self._check_size(size)
            out.write(piece)
        if answer.length:
            raise failed("ended before all of it came")
        return size

    def _check_size(self, size: int) -> None:
        if size > self.limits.max_bytes:
            raise Refused(413, "too_large", f"the uri leads to more than the allowed {self.limits.max_bytes:,} bytes")


def _check_headers(answer: HTTPResponse) -> None:
    """Take the bytes as they are or not at all."""
    if answer.status != 200:
        raise failed(f"is answered with the status {answer.status}, wanted is 200")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise failed("comes compressed although it was asked for as it is")
    if answer.headers.get("transfer-encoding", "chunked").lower() != "chunked":
        raise failed("comes in a transfer encoding other than chunked")


def _piece(answer: HTTPResponse) -> bytes:
    with network():
        return answer.read(PIECE)


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    """Open what is there: a file that its owner has removed meanwhile must not come back."""
    handle = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW)
    with open(handle, "wb") as out:
        os.fchmod(handle, 0o600)
        yield out
