"""The parent's side of the decode child: start it, talk to it, kill it when it stalls, replace it when it dies."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.worker import Request
from pipelines.rows import WINDOWS, ErrorCode, MediaError

THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class DecodeChild:
    """One child process, started on first use and again after every death."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.videos = 0
        self.process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def windows(self, request: Request) -> Iterator[pa.RecordBatch]:
        """Yield one-row WINDOWS batches as they are decoded; the last says `last`, also when the child dies."""
        index, ended = 0, False
        stalled = threading.Event()
        try:
            for batch in self._stream(request, stalled):
                index, ended = batch["window_index"][0].as_py() + 1, batch["last"][0].as_py()
                yield batch
        except (pa.ArrowInvalid, OSError):
            pass
        if not ended:
            error = _how_it_was_lost(stalled.is_set(), self.close(), self.limits)
            yield lost_row(request.content_sha256, index, request.sampling, error)

    def _stream(self, request: Request, stalled: threading.Event) -> Iterator[pa.RecordBatch]:
        process = self._running()
        if process.stdin is None or process.stdout is None:
            raise OSError("the decode child has no pipes")
        process.stdin.write(request.to_line())
        process.stdin.flush()
        with _Watchdog(process, self.limits.stall_seconds, stalled):
            stream = pa.ipc.open_stream(process.stdout)
        while True:
            with _Watchdog(process, self.limits.stall_seconds, stalled):
                try:
                    batch = stream.read_next_batch()
                except StopIteration:
                    return
            yield batch

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process and (self.videos >= self.limits.recycle_after or self.process.poll() is not None):
            self.close()
        if self.process is None:
            command = [sys.executable, "-m", "pipelines.decode.worker"]
            command += [str(os.getpid()), str(self.limits.child_memory_mb)]
            paths = os.pathsep.join(path for path in sys.path if path)
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **THREADS, "PYTHONPATH": paths},
            )
            self.videos = 0
        self.videos += 1
        return self.process

    def close(self) -> int | None:
        """Kill the child and return its exit status: negative for the signal that ended it, None if none ran."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        ended = process.poll()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
        return ended


class _Watchdog:
    """Kill the process unless the block is left in time. Only time spent waiting for it counts."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float, stalled: threading.Event) -> None:
        self.process, self.stalled = process, stalled
        self.timer = threading.Timer(seconds, self._kill)
        self.timer.daemon = True

    def _kill(self) -> None:
        self.stalled.set()
        self.process.kill()

    def __enter__(self) -> None:
        self.timer.start()

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()


def _how_it_was_lost(stalled: bool, status: int | None, limits: Limits) -> MediaError:
    if stalled:
        return MediaError(ErrorCode.TIMEOUT, f"the decoder gave nothing for {limits.stall_seconds:g} s")
    how = f"signal {-status}" if status and status < 0 else f"status {status}"
    return MediaError(ErrorCode.CRASHED, f"the decoder ended with {how}")


def lost_row(sha256: str, index: int, sampling: Sampling, error: MediaError) -> pa.RecordBatch:
    """Return the last window of a video of which no more can be had."""
    start_ms = index * sampling.window_ms
    row: dict[str, Any] = dict.fromkeys(WINDOWS.names)
    row.update(content_sha256=sha256, window_index=index, last=True, media="video", frame_ms=[], decode_ms=0.0)
    row.update(start_ms=start_ms, end_ms=start_ms, duration_ms=start_ms)
    row.update(error_code=error.code.value, error_message=str(error))
    return pa.RecordBatch.from_pylist([row], WINDOWS)
