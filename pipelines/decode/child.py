"""The parent's side of the decode child: start it, talk to it, kill it when it stalls, replace it when it dies."""

from __future__ import annotations

import atexit
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO, Any

import pyarrow as pa

from model_registry.errors import NightjarError
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.watchdog import Watchdog
from pipelines.decode.worker import READY, Request
from pipelines.processes import start
from pipelines.rows import WINDOWS, ErrorCode, MediaError

THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# Pixels lie in memory that is kept; glibc would ask the kernel for it each time, 340 page faults for a small picture.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(4 << 20), "MALLOC_TRIM_THRESHOLD_": str(16 << 20)}
PIPE_BYTES = 1 << 20  # some frames, where Linux gives 64 kB: fewer turns between child and parent
START_SECONDS = 120.0  # the imports, from a cold disk
KILLS_FORGIVEN = 3  # a video, or a start: whoever is killed oftener may be what fills the memory
DYING_SECONDS = 2.0  # between the end of a pipe and the exit status


class DecodeChildError(NightjarError):
    """No decoder can be started here: the machine's fault, and no video's."""


class DecodeChild:
    """One child process, started on first use and again after every death. For one thread at a time."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.videos = 0
        self.process: subprocess.Popen[bytes] | None = None

    def windows(self, request: Request) -> Iterator[pa.RecordBatch]:
        """Yield one-row WINDOWS batches as they are decoded; the last says `last`, also when the child dies.

        A child that was killed from outside costs nothing: its video is begun again, and what was handed on is left
        out. A caller that stops early costs the child: what it has still to say belongs to no later video.
        """
        handed_on, kills = 0, 0
        while lost := (yield from self._attempt(request, handed_on)):
            handed_on = max(handed_on, lost.windows)
            if lost.was_killed and kills < KILLS_FORGIVEN:
                kills += 1
            elif handed_on == 0 and request.shortcuts and not lost.stalled:
                request = replace(request, shortcuts=False)  # decord aborts, at times for the video before
            else:
                yield lost_row(request.content_sha256, handed_on, request.sampling, lost.error(self.limits))
                return

    def _attempt(self, request: Request, handed_on: int) -> Generator[pa.RecordBatch, None, _Lost | None]:
        """Decode once; yield the windows from number `handed_on` on, return how the child was lost if it was."""
        index, ended, answered, dying = 0, False, False, False
        stalled = threading.Event()
        status = None
        try:
            for batch in self._stream(request, stalled):
                index, ended = batch["window_index"][0].as_py() + 1, batch["last"][0].as_py()
                if index > handed_on:
                    yield batch
                elif ended:
                    yield _ended_sooner(request, batch, handed_on)
            answered = ended
            dying = not ended
        except (pa.ArrowException, OSError):
            dying = True
        finally:
            if not answered or stalled.is_set():
                status = self.close(DYING_SECONDS if dying else 0)
        return None if ended else _Lost(index, stalled.is_set(), status)

    def _stream(self, request: Request, stalled: threading.Event) -> Iterator[pa.RecordBatch]:
        process, stdin, stdout = self._running()
        stdin.write(request.to_line())
        stdin.flush()
        with Watchdog(process, self.limits.stall_seconds, stalled):
            stream = pa.ipc.open_stream(stdout)
        while True:
            with Watchdog(process, self.limits.stall_seconds, stalled):
                try:
                    batch = stream.read_next_batch()
                except StopIteration:
                    return
            yield batch

    def _running(self) -> tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]:
        if self.process and (self.videos >= self.limits.recycle_after or self.process.poll() is not None):
            self.close()
        self.process = self.process or self._start()
        self.videos += 1
        if self.process.stdin is None or self.process.stdout is None:
            raise OSError("the decode child has no pipes")
        return self.process, self.process.stdin, self.process.stdout

    def _start(self) -> subprocess.Popen[bytes]:
        """Start a child and wait until it has imported its decoders, which is no video's stall."""
        for _ in range(1 + KILLS_FORGIVEN):
            with tempfile.TemporaryFile() as said:
                self.process, self.videos = self._launch(said), 0
                atexit.register(self.close)
                with Watchdog(self.process, START_SECONDS, stalled := threading.Event()):
                    greeting = self.process.stdout.readline() if self.process.stdout else b""
                if greeting == READY:
                    return self.process
                status = self.close(DYING_SECONDS)
                said.seek(0)
                last = said.read().decode(errors="replace").strip().rpartition("\n")[2]
            if status != -signal.SIGKILL or stalled.is_set():
                break
        reason = f"{_ending(status)}: {last}" if last else _ending(status)
        raise DecodeChildError(f"the decode child does not start: {reason}")

    def _launch(self, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "pipelines.decode.worker", str(os.getpid())]
        process = start(
            [*command, str(self.limits.child_memory_mb)],
            env=THREADS | MEMORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        if process.stdout:
            _widen(process.stdout)
        return process

    def close(self, grace_seconds: float = 0) -> int | None:
        """Kill the child and return its exit status: negative for the signal that ended it, None if it was alive."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        atexit.unregister(self.close)
        try:
            ended = process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            ended = None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                _close_quietly(pipe)
        return ended


def _widen(pipe: IO[bytes]) -> None:
    with suppress(OSError):  # a user may have only so much in pipes
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _close_quietly(pipe: IO[bytes]) -> None:
    with suppress(OSError):  # what could not be written to the dead is lost
        pipe.close()


@dataclass(frozen=True)
class _Lost:
    """How a child was lost, and how many windows of its video it had given."""

    windows: int
    stalled: bool
    status: int | None

    @property
    def was_killed(self) -> bool:
        """Whether somebody else did it: the kernel short of memory, an operator. No decoder sends itself SIGKILL."""
        return self.status == -signal.SIGKILL and not self.stalled

    def error(self, limits: Limits) -> MediaError:
        """As a reviewer reads it."""
        if self.stalled:
            return MediaError(ErrorCode.TIMEOUT, f"the decoder gave nothing for {limits.stall_seconds:g} s")
        return MediaError(ErrorCode.CRASHED, f"the decoder was lost: {_ending(self.status)}")


def _ended_sooner(request: Request, batch: pa.RecordBatch, handed_on: int) -> pa.RecordBatch:
    """Begun again, the video ended within what was handed on: it went away, or it is another one now."""
    code, said = batch["error_code"][0].as_py(), batch["error_message"][0].as_py()
    error = MediaError(ErrorCode(code or ErrorCode.CHANGED), said or "it became shorter while it was decoded")
    return lost_row(request.content_sha256, handed_on, request.sampling, error)


def _ending(status: int | None) -> str:
    if status is None:
        return "its answer broke off"
    return f"it ended with signal {-status}" if status < 0 else f"it ended with status {status}"


def lost_row(sha256: str, index: int, sampling: Sampling, error: MediaError) -> pa.RecordBatch:
    """Return the last window of a video of which no more can be had."""
    start_ms = index * sampling.window_ms
    row: dict[str, Any] = dict.fromkeys(WINDOWS.names)
    row.update(content_sha256=sha256, window_index=index, last=True, media="video", frame_ms=[], found=[])
    row.update(decode_ms=0.0, codes_ms=0.0)
    row.update(start_ms=start_ms, end_ms=start_ms, duration_ms=start_ms)
    row.update(error_code=error.code.value, error_message=str(error))
    return pa.RecordBatch.from_pylist([row], WINDOWS)
