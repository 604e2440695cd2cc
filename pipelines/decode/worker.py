"""The decode child: reads requests on standard input, streams windows on standard output, may be killed any time.

A request is one line, two JSON objects and a tab between them: what is asked of all contents alike, and one content. An
answer is one Arrow stream of WINDOWS rows, the last row marked `last`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.decode.ending import End
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.read import read
from pipelines.decode.unchanged import Stamp, check_unchanged
from pipelines.processes import die_with_parent
from pipelines.rows import WINDOWS, ErrorCode, MediaError, Window

READY = b"ready\n"  # said once, when everything is imported
SETTINGS = 32  # kept at each end of the pipe: one for every way of looking at an upload
ROW = pa.struct(list(WINDOWS))


@dataclass(frozen=True)
class Request:
    """One content to decode."""

    content_sha256: str
    path: str
    size: int  # bytes, as hashed: another size now means another content
    sampling: Sampling
    limits: Limits
    shortcuts: bool = True  # whether an engine that leaves frames out may have it first
    stamp: Stamp | None = None  # of the file when it had the content; None: its size alone has to do

    def to_line(self) -> bytes:
        """Serialise."""
        content = {name: value for name, value in vars(self).items() if name not in ("sampling", "limits")}
        return b"%s\t%s\n" % (_written(self.sampling, self.limits), json.dumps(content).encode())

    @classmethod
    def from_line(cls, line: bytes) -> Request:
        """Parse what `to_line` wrote."""
        settings, _, content = line.partition(b"\t")
        sampling, limits = _read(settings)
        fields = json.loads(content)
        stamp = fields.pop("stamp")
        return cls(**fields, sampling=sampling, limits=limits, stamp=Stamp(*stamp) if stamp else None)


@lru_cache(SETTINGS)
def _written(sampling: Sampling, limits: Limits) -> bytes:
    return json.dumps({"sampling": vars(sampling), "limits": vars(limits)}).encode()


@lru_cache(SETTINGS)
def _read(settings: bytes) -> tuple[Sampling, Limits]:
    fields = json.loads(settings)
    return Sampling(**fields["sampling"]), Limits(**fields["limits"])


def rows(request: Request) -> Iterator[dict[str, Any]]:
    """Yield one WINDOWS row a window; the last carries duration, decoder and how the video ended."""
    held: Window | None = None
    spent = time.perf_counter()
    try:
        _check_size(request)
        check = partial(check_unchanged, request.content_sha256, request.stamp)
        for step in read(Path(request.path), request.sampling, request.limits, request.shortcuts, check):
            if isinstance(step, End):
                yield _row(request, held, spent, step)
                return
            if held is not None:
                yield _row(request, held, spent)
                spent = time.perf_counter()
            held = step
    except MediaError as error:
        yield _row(request, held, spent, _broken_off(held, error))
    except Exception as error:  # noqa: BLE001 whatever a decoder raises costs this video only
        crash = MediaError(ErrorCode.CRASHED, f"the decoder failed with {type(error).__name__}")
        yield _row(request, held, spent, _broken_off(held, crash))


def _broken_off(held: Window | None, error: MediaError) -> End:
    return End("video", "", held.end_ms if held else 0, error)


def _check_size(request: Request) -> None:
    try:
        found = Path(request.path).stat().st_size
    except OSError as error:
        raise MediaError(ErrorCode.NOT_FOUND, "the file went away after it was hashed") from error
    if found != request.size:
        raise MediaError(ErrorCode.CHANGED, f"the file has {found:,} bytes, it was hashed with {request.size:,}")


def _row(request: Request, window: Window | None, since: float, end: End | None = None) -> dict[str, Any]:
    window = window or Window(0, 0, 0)
    frames_THWC = window.frames_THWC
    error = end.error if end else None
    return {
        "content_sha256": request.content_sha256,
        "window_index": window.index,
        "last": end is not None,
        "start_ms": window.start_ms,
        "end_ms": max(window.start_ms, min(window.end_ms, end.duration_ms)) if end else window.end_ms,
        "duration_ms": end.duration_ms if end else None,
        "media": end.media if end else None,
        "decoder": end.decoder if end else None,
        "frame_ms": list(window.frame_ms),
        "frame_height": None if frames_THWC is None else frames_THWC.shape[1],
        "frame_width": None if frames_THWC is None else frames_THWC.shape[2],
        "frames_THWC": None if frames_THWC is None else frames_THWC.tobytes(),
        **_sounds(window),
        "found": [each.as_row() for each in (*window.found, *(end.found if end else ()))],
        "codes_ms": window.codes_ms,
        "error_code": error.code.value if error else None,
        "error_message": str(error) if error else None,
        "decode_ms": max(0.0, (time.perf_counter() - since) * 1000 - window.codes_ms),
    }


def _sounds(window: Window) -> dict[str, Any]:
    """The columns of what is heard; a window whose own sound ended may still hold what came before it."""
    if not window.sounds:
        return {"more_sounds": []}
    cells = [
        {
            "track": sound.track,
            "audio_16k": sound.samples.tobytes() if len(sound.samples) else None,
            "audio_before": sound.before.tobytes() if len(sound.before) else None,
        }
        for sound in window.sounds
    ]
    first = cells[0]
    own = {"audio_16k": first["audio_16k"], "audio_before": first["audio_before"], "audio_track": first["track"]}
    return {**own, "more_sounds": cells[1:]}


def answer(request: Request, out: Any) -> None:
    """Stream the rows of one request."""
    with pa.ipc.new_stream(out, WINDOWS) as stream:
        for row in rows(request):
            stream.write_batch(pa.RecordBatch.from_struct_array(pa.array([row], ROW)))
            out.flush()
    out.flush()


def main() -> None:
    """Serve requests until standard input ends. argv: parent's process id, address space in MB."""
    parent, memory_mb = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # whatever a decoder prints must not land among the rows
    os.dup2(silence, 2)
    out.write(READY)
    out.flush()
    for line in sys.stdin.buffer:
        answer(Request.from_line(line), out)


if __name__ == "__main__":
    main()
