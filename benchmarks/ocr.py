"""OCR: letters wrong by height and language, and what reading only the frames whose text changed saves and loses.

The same footage is subtitled, a caption of three seconds and three seconds without one in turn, and read twice: every
frame, and as the stage does it. Time is that of the processor, on one thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.registry import Result
from benchmarks.subtitles import TEXTS, fitting, subtitled
from model_registry.bundles import pin_model
from model_registry.model import AnyModel, Line, ModelRef, read_all
from pipelines.decode.ending import End
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.read import read
from pipelines.ocr.changes import frames_to_read, strokes_of
from pipelines.ocr.junk import legible
from pipelines.ocr.merge import Reading, edits, merge
from pipelines.ocr.shown import ReadFrames
from pipelines.predict import loaded
from pipelines.rows import WINDOWS

MODEL = "rapid_ocr"
HEIGHTS_PX = (8, 10, 12, 16, 24, 36)  # of the em, on frames of 256 pixels
CAPTION_PX, CAPTION_S = 16, 3
FOOTAGE, BACKGROUNDS = 8, 10  # windows that are subtitled, and frames that letters are counted on

Frames = NDArray[np.uint8]  # [T, H, W, 3]


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Count letters once, they come out the same; measure time `repeat` times."""
    ref = pin_model(MODEL)
    model = loaded(ref, "cpu", 1)
    windows = [frames_THWC for video in videos for frames_THWC in _windows(video)]
    captioned = [_captioned(number, frames_THWC) for number, frames_THWC in enumerate(_wide(windows)[:FOOTAGE])]
    turns = [_turn(model, ref, captioned) for _ in range(repeat + 1)][1:]  # the first warms up
    metrics: dict[str, Sequence[float]] = {name: [turn[name] for turn in turns] for name in turns[0]}
    metrics |= {name: [value] for name, value in _letters(model, windows).items()}
    metrics["share_read"] = [_share_read(windows)]
    setup = {"videos": len(videos), "windows": len(windows), "captioned": len(captioned), "caption_px": CAPTION_PX}
    return Result(metrics, setup, ["subtitles are drawn in Noto Sans CJK, white with a black outline"])


def _windows(video: Path) -> Iterator[Frames]:
    for step in read(video, Sampling(), Limits()):
        if not isinstance(step, End) and step.frames_THWC is not None and len(step.frames_THWC):
            yield step.frames_THWC


def _wide(windows: Iterable[Frames]) -> list[Frames]:
    return [frames_THWC for frames_THWC in windows if frames_THWC.shape[2] >= frames_THWC.shape[1]]


def _captioned(number: int, frames_THWC: Frames) -> Frames:
    """Every other three seconds one of the texts, in both languages in turn."""
    texts = [text for pair in zip(*TEXTS.values(), strict=True) for text in pair]
    drawn = [
        frame_HWC
        if second // CAPTION_S % 2
        else subtitled(frame_HWC, [texts[(number + second // CAPTION_S // 2) % len(texts)]], CAPTION_PX)
        for second, frame_HWC in enumerate(frames_THWC)
    ]
    return np.stack(drawn)


def _turn(model: AnyModel, ref: ModelRef, windows: Sequence[Frames]) -> dict[str, float]:
    """The metrics of one repetition."""
    frames = sum(len(frames_THWC) for frames_THWC in windows)
    began = time.process_time()
    for frames_THWC in windows:
        frames_to_read([strokes_of(frame_HWC) for frame_HWC in frames_THWC], ReadFrames(ref=ref).most)
    gate_s = time.process_time() - began
    began = time.process_time()
    plain = [_every_frame(model, frames_THWC) for frames_THWC in windows]
    all_s = time.process_time() - began
    began = time.process_time()
    found = _by_stage(ref, windows)
    changed_s = time.process_time() - began
    kept = [len(ours & theirs) for ours, theirs in zip(found, plain, strict=True)]
    return {
        "changed_vs_all": all_s / changed_s,
        "lines_kept": sum(kept) / sum(map(len, plain)),
        "ms_a_frame_read": 1000 * all_s / frames,
        "ms_a_frame_of_video": 1000 * changed_s / frames,
        "ms_a_frame_looked_at": 1000 * gate_s / frames,
        "look_vs_read": gate_s / all_s,
    }


def _every_frame(model: AnyModel, frames_THWC: Frames) -> set[str]:
    """The captions found when every frame is read."""
    readings = [Reading(1000 * n, legible(lines)) for n, lines in enumerate(read_all(model, list(frames_THWC)))]
    return _captions(line.text for line in merge(readings, 1000 * len(frames_THWC)))


def _by_stage(ref: ModelRef, windows: Sequence[Frames]) -> list[set[str]]:
    """The captions the stage finds in each window."""
    rows = [
        {
            "frame_ms": [1000 * second for second in range(len(frames_THWC))],
            "frame_height": frames_THWC.shape[1],
            "frame_width": frames_THWC.shape[2],
            "frames_THWC": frames_THWC.tobytes(),
            "end_ms": 1000 * len(frames_THWC),
        }
        for frames_THWC in windows
    ]
    stage = ReadFrames(ref=ref)
    schema = pa.schema([WINDOWS.field(name) for name in stage.reads])
    [table] = stage.open()(pa.Table.from_pylist(rows, schema))
    return [_captions(line["text"] for line in lines) for lines in table["shown"].to_pylist()]


def _captions(texts: Iterable[str]) -> set[str]:
    """Which of the drawn captions were read, a letter in ten aside; what else the footage shows is not counted."""
    drawn = {_plain(text) for rows in TEXTS.values() for text in rows}
    read = [_plain(text) for text in texts]
    return {text for text in drawn if any(edits(text, each, len(text)) <= len(text) // 10 for each in read)}


def _letters(model: AnyModel, windows: Sequence[Frames]) -> dict[str, float]:
    """The character error rate by language and height, spaces aside."""
    metrics = {}
    backgrounds = [frames_THWC[0] for frames_THWC in _wide(windows)[:BACKGROUNDS]]
    grey = np.full((256, 455, 3), 96, np.uint8)
    for language, texts in TEXTS.items():
        for height_px in HEIGHTS_PX:
            for name, behind in (("plain", [grey]), ("busy", backgrounds)):
                pairs = [(behind[number % len(behind)], text) for number, text in enumerate(texts)]
                metrics[f"cer_{language}_{height_px}px_{name}"] = _error_rate(model, pairs, height_px)
    at_12_px = [value for name, value in metrics.items() if "_12px_" in name]
    return {**metrics, "cer_12px": float(np.mean(at_12_px))}


def _error_rate(model: AnyModel, pairs: Sequence[tuple[NDArray[np.uint8], str]], height_px: int) -> float:
    drawn = [subtitled(frame_HWC, [text], height_px) for frame_HWC, text in pairs]
    wanted = [_plain(fitting(text, height_px, frame_HWC.shape[1])) for frame_HWC, text in pairs]
    wrong = [_wrong(text, lines) for text, lines in zip(wanted, read_all(model, drawn), strict=True)]
    return sum(wrong) / sum(map(len, wanted))


def _wrong(text: str, lines: Sequence[Line]) -> int:
    """Of a text, the letters wrong in the line that is most like it; all where there is none."""
    read = [_plain(line.text) for line in legible(lines)]
    return min([edits(text, each, len(text)) for each in read], default=len(text))


def _share_read(windows: Sequence[Frames]) -> float:
    """Of the footage as it is, the frames that would be read."""
    most = max(map(len, windows))
    chosen = [frames_to_read([strokes_of(frame) for frame in frames_THWC], most) for frames_THWC in windows]
    return sum(map(len, chosen)) / sum(map(len, windows))


def _plain(text: str) -> str:
    return "".join(text.split())
