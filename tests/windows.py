"""Windows in small, as the model stage hands them to Commit, and the signals in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from pipelines.decode.found import Found
from pipelines.pieces import ENDS
from pipelines.risk.signals import Signal
from pipelines.rows import FOUND, LINE, PDQ_BYTES, PEAK, SIGNAL, STILL, THUMBNAIL, VIEW, VOICE, WINDOWS
from pipelines.stage import BUSY

DIM = 4
WINDOW_MS = 30_000
LOOKED_AT = pa.schema(
    [
        *(WINDOWS.field(name) for name in (*ENDS, "frame_ms")),
        ("signals", pa.list_(SIGNAL)),
        ("views", pa.list_(VIEW)),
        ("peaks", pa.list_(PEAK)),
        ("thumbnails", pa.list_(THUMBNAIL)),
        ("stills", pa.list_(STILL)),
        ("said", pa.list_(LINE)),
        ("shown", pa.list_(LINE)),
        ("voices", pa.list_(VOICE)),
        ("busy", BUSY),
        ("found", pa.list_(FOUND)),
        ("decode_ms", pa.float64()),
        ("codes_ms", pa.float64()),
    ]
)


def seen(
    score: float,
    start_ms: int,
    end_ms: int,
    label: str = "Gambling",
    *,
    evidence_ms: int | None = None,
    source: str = "zero_shot_clip@1",
    form: str = "Image",
) -> Signal:
    """One thing seen from `start_ms` to before `end_ms`, its picture at the start unless said otherwise."""
    at_ms = start_ms if evidence_ms is None else evidence_ms
    return Signal(
        label=label, form=form, score=score, start_ms=start_ms, end_ms=end_ms, evidence_ms=at_ms, source=source
    )


def window(
    content: str,
    index: int = 0,
    *,
    last: bool = True,
    frame_ms: Sequence[int] = (),
    signals: Sequence[Signal] = (),
    pictures: Mapping[int, bytes] | None = None,
    embedding: Sequence[Sequence[float]] | None = None,
    peaks: Sequence[tuple[int, int]] = (),
    stills: Mapping[int, bytes] | None = None,
    said: Sequence[tuple[int, int, str]] = (),
    shown: Sequence[tuple[int, int, str]] = (),
    found: Sequence[tuple[int, int, str]] = (),
    voice: Sequence[float] = (),
    duration_ms: int | None = None,
    error_code: str | None = None,
    attempts: int | None = None,
) -> dict[str, object]:
    """One window; only the last has a duration and an error.

    `pictures` are its thumbnails by time, `stills` its stills, `peaks` pairs of time and pitch, `said` and `shown`
    lines, `found` codes; of each frame there is the view of the whole of it.
    """
    embeddings = [[0.5] * DIM] * len(frame_ms) if embedding is None else embedding
    return {
        "content_sha256": content,
        "window_index": index,
        "last": last,
        "start_ms": index * WINDOW_MS,
        "end_ms": (index + 1) * WINDOW_MS,
        "duration_ms": (duration_ms or (index + 1) * WINDOW_MS) if last else None,
        "media": "video" if last else None,
        "decoder": "decord" if last else None,
        "error_code": error_code,
        "error_message": error_code and f"it is {error_code}",
        "attempts": attempts,
        "frame_ms": list(frame_ms),
        "signals": [vars(signal) for signal in signals],
        "views": [view(ms, vector) for ms, vector in zip(frame_ms, embeddings, strict=True)],
        "peaks": [{"time_ms": ms, "pitch": pitch} for ms, pitch in peaks],
        "thumbnails": [{"frame_ms": ms, "webp": webp} for ms, webp in (pictures or {}).items()],
        "stills": [{"frame_ms": ms, "jpeg": jpeg} for ms, jpeg in (stills or {}).items()],
        "said": [line(*one) for one in said],
        "shown": [line(*one) for one in shown],
        "voices": [{"speech_ms": 1000, "embedding": np.array(voice, np.float16)}] if voice else [],
        "busy": [],
        "decode_ms": 1.0,
        "codes_ms": 0.5,
        "found": [Found(*one, "OCR", "code QRCode").as_row() for one in found],
    }


def line(start_ms: int, end_ms: int, text: str) -> dict[str, object]:
    """One line; its words share its time by their letters."""
    letters, words, start = max(1, len(text.replace(" ", ""))), [], 0
    passed = 0
    for word in text.split():
        start = text.index(word, start)
        at = [start_ms + (end_ms - start_ms) * n // letters for n in (passed, passed + len(word))]
        words.append({"start": start, "end": start + len(word), "start_ms": at[0], "end_ms": at[1]})
        start, passed = start + len(word), passed + len(word)
    known = {"start_ms": start_ms, "end_ms": end_ms, "text": text, "words": words}
    return {**known, "language": "en" if text.isascii() else "zh", "confidence": 0.9}


def view(frame_ms: int, embedding: Sequence[float], number: int = 0, quality: int = 100) -> dict[str, object]:
    """One view of one frame; its hash follows from its time."""
    vector = [np.float16(value) for value in embedding]
    pdq = frame_ms.to_bytes(PDQ_BYTES, "big")
    return {"frame_ms": frame_ms, "view": number, "embedding": vector, "pdq": pdq, "pdq_quality": quality}


def looked_at(*rows: dict[str, object]) -> pa.Table:
    """Windows as one table."""
    return pa.Table.from_pylist(list(rows), LOOKED_AT)
