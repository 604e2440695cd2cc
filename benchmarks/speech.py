"""Speech recognition: short clips batched against one at a time, errors, and time against faster-whisper.

Time is that of the processor, so that a busy machine changes little; `times_real_time` alone is by the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks.registry import Result
from benchmarks.speech_peers import BATCH, peers
from benchmarks.speech_recordings import Recording, error_rate, recordings
from jobs import progress
from model_registry.artifacts import artifact, fetch
from model_registry.model import AnyModel, Line, read_all
from model_registry.models.speech.batches import CLASSES_S, MARGIN_S
from model_registry.models.speech.listening import ENCODED_S, Heard
from model_registry.models.speech.sound import AUDIO_HZ, LONGEST_S, Sound
from model_registry.models.speech.voice_activity import SileroVad
from model_registry.models.speech.whisper_ct2 import PRECISION, FasterWhisperBase
from pipelines.speech.chunks import chunks_of
from pipelines.speech.transcribe import said_in

THREADS = 1
PASSES = 3
CLIP_MS = 3000  # short clips are chunks of speech of at most so much


class PaddedWhisper(FasterWhisperBase):
    """The same with every sound padded to 30 s, as Whisper was trained."""

    def hear(self, sounds: Sequence[Sound], seconds: int) -> list[Heard]:  # noqa: ARG002 - that is the point
        """Decode sounds padded to 30 s."""
        return super().hear(sounds, LONGEST_S)


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Alternate the ways in every repetition."""
    spoken = recordings(videos)
    torch.set_num_threads(THREADS)
    vad, ours, padded = _load(SileroVad), _load(FasterWhisperBase), _load(PaddedWhisper)
    clips = _clips(vad, spoken)
    turns: list[dict[str, float]] = []
    heard: dict[str, list[str]] = {}
    grown_mb: list[float] = []
    with peers(_files(FasterWhisperBase), THREADS) as others:
        systems = {
            "ours": _ours(vad, ours),
            "ours_padded": _ours(vad, padded),
            **{name: _each(peer) for name, peer in others.items()},
        }
        for number in range(repeat + 1):
            progress.say(f"speech: {len(spoken)} recordings and {len(clips)} clips, turn {number} of {repeat}")
            before_mb = _rss_mb()
            turn, heard = _turn(systems, spoken)
            turns.append({**turn, **_batching(ours, clips)})
            grown_mb.append(_rss_mb() - before_mb)
    turns = turns[1:]  # the first warms up
    metrics: dict[str, Sequence[float]] = {name: [turn[name] for turn in turns] for name in turns[0]}
    metrics |= {"memory_grown_mb": grown_mb[1:]}
    return Result({**metrics, **_errors(spoken, heard)}, _setup(spoken, clips), _notes(spoken))


def _load(model: type[AnyModel]) -> AnyModel:
    return model.load({name: fetch(artifact(name)) for name in model.spec.artifacts}, "cpu")


def _files(model: type[FasterWhisperBase]) -> dict[str, Path]:
    return {name: fetch(artifact(row)) for name, row in model.files.items()}


def _clips(vad: AnyModel, spoken: Sequence[Recording]) -> list[Sound]:
    parts = [part for each in spoken for part in _windows(each)]
    spans = read_all(vad, parts)
    return [chunk.of(part) for row, part in zip(spans, parts, strict=True) for chunk in chunks_of(row, part, CLIP_MS)]


def _windows(each: Recording) -> list[Sound]:
    step = LONGEST_S * AUDIO_HZ
    return [each.sound[start : start + step] for start in range(0, len(each.sound), step)]


System = Callable[[Sequence[Recording]], list[str]]


def _ours(vad: AnyModel, speech: AnyModel) -> System:
    """As the pipeline does it: all recordings in one table."""
    return lambda spoken: [_text(lines) for lines in said_in(vad, speech, [each.sound for each in spoken])]


def _each(peer: Callable[[Recording], str]) -> System:
    return lambda spoken: [peer(each) for each in spoken]


def _text(lines: Sequence[Line]) -> str:
    return " ".join(line.text for line in lines)


def _turn(systems: Mapping[str, System], spoken: Sequence[Recording]) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Processor time of every system over the same recordings, and what each heard."""
    heard, cpu_s, wall_s = {}, {}, {}
    for name, system in systems.items():
        began, began_wall = time.process_time(), time.perf_counter()
        heard[name] = system(spoken)
        cpu_s[name], wall_s[name] = time.process_time() - began, time.perf_counter() - began_wall
    seconds = sum(each.seconds for each in spoken)
    ratios = {f"speed_vs_{name}": cpu_s[name] / cpu_s["ours"] for name in systems if name != "ours"}
    return {
        "times_real_time_cpu": seconds / cpu_s["ours"],
        "times_real_time": seconds / wall_s["ours"],
        **ratios,
    }, heard


def _batching(speech: AnyModel, clips: Sequence[Sound]) -> dict[str, float]:
    """One clip a call, against all clips in batches; of several passes each the fastest, as others use the machine."""
    passes = [
        (_cpu_s(lambda: [speech.predict([clip]) for clip in clips]), _cpu_s(lambda: read_all(speech, clips)))
        for _ in range(PASSES)
    ]
    single_s, batched_s = map(min, zip(*passes, strict=True))
    return {"batched_vs_single": single_s / batched_s}


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _errors(spoken: Sequence[Recording], heard: Mapping[str, Sequence[str]]) -> dict[str, list[float]]:
    errors = {}
    for name, texts in heard.items():
        for metric, language in (("word_errors_english", "en"), ("letter_errors_mandarin_synthetic", "zh")):
            pairs = [(each, text) for each, text in zip(spoken, texts, strict=True) if each.language == language]
            errors[metric if name == "ours" else f"{metric}_{name}"] = [error_rate(pairs)]
    return errors


def _setup(spoken: Sequence[Recording], clips: Sequence[Sound]) -> dict[str, Any]:
    return {
        "model": f"{FasterWhisperBase.spec.name}@{FasterWhisperBase.spec.version}",
        "voice activity": f"{SileroVad.spec.name}@{SileroVad.spec.version}",
        "precision": PRECISION["cpu"],
        "threads": THREADS,
        "batch": f"{ENCODED_S['cpu']} s of padded sound; peers {BATCH} chunks",
        "padding": f"classes of {', '.join(map(str, CLASSES_S))} s, margin {MARGIN_S} s",
        "audio length": f"{sum(each.seconds for each in spoken):.1f} s in {len(spoken)} recordings",
        "clips": f"{len(clips)} of {sum(map(len, clips)) / AUDIO_HZ / len(clips):.1f} s on average",
    }


def _notes(spoken: Sequence[Recording]) -> list[str]:
    words = sum(len(each.said.split()) for each in spoken if each.language == "en")
    mandarin = [each for each in spoken if each.language == "zh"]
    letters = sum(sum(map(str.isalnum, each.said)) for each in mandarin)
    return [
        f"English: {words} words by three speakers; one error is {1 / words:.3f}.",
        f"Mandarin: {letters} letters in {len(mandarin)} synthetic sentences of one voice; people make other errors.",
        "`ours_padded` is ours with every sound padded to 30 s.",
    ]


def _rss_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6
