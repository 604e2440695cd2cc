"""What else a GPU does in a night, matching and listening, and the decoding cores that keep it busy."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accelerator.rates import Sizes, synchronise
from model_registry.errors import NightjarError

MILLION, TEN_MILLION = 1_000_000, 10_000_000
NEAREST = 8
SPEECH_PASSES = 3
SPEECH_MODELS = ("whisper_large_v3_turbo_ct2", "whisper_base_ct2")  # the first whose weights are here


def match_seconds(device: str, sizes: Sizes) -> dict[str, float]:
    """Seconds for 1e6 queries against 1e7 descriptors, by tile; time grows with the product of both numbers."""
    from pipelines.copyright.picture.search import search_tiled

    queries_QD, bank_ND = descriptors(sizes.queries, sizes, device), descriptors(sizes.bank, sizes, device)
    scale = MILLION / sizes.queries * TEN_MILLION / sizes.bank
    found = {}
    for queries, rows in sizes.tiles:
        search_tiled(queries_QD[: min(queries, 256)], bank_ND[:rows], NEAREST, device, queries, rows)
        began = time.perf_counter()
        search_tiled(queries_QD, bank_ND, NEAREST, device, queries, rows)
        found[f"{queries} x {rows}"] = (time.perf_counter() - began) * scale
    return found


def descriptors(count: int, sizes: Sizes, device: str) -> NDArray[np.float16]:
    """Random unit vectors, float16 [count, D], drawn on the device."""
    import torch

    generator = torch.Generator(device).manual_seed(count)
    out_ND = np.empty((count, sizes.dimensions), np.float16)
    for start in range(0, count, MILLION):
        part = out_ND[start : start + MILLION]
        drawn = torch.randn(part.shape, device=device, generator=generator)
        part[:] = torch.nn.functional.normalize(drawn, dim=1).half().cpu().numpy()
    return out_ND


def speech_model(device: str) -> Any:
    """Load the largest Whisper whose weights are on this machine; raises NightjarError where there is none."""
    from model_registry.bundles import pin_model

    for name in SPEECH_MODELS:
        try:
            ref = pin_model(name, download=False)
        except NightjarError:
            continue
        try:
            return ref.load(device)
        except (RuntimeError, ValueError) as error:  # CTranslate2 has no CUDA, or not the libraries it was built for
            raise NightjarError(f"{name} cannot be loaded on {device}: {error}") from error
    raise NightjarError(f"the weights of {' and '.join(SPEECH_MODELS)} are not on this machine")


def times_real_time(model: Any, sounds: Sequence[NDArray[np.int16]], device: str) -> float:
    """Seconds of sound that one second is enough to transcribe."""
    from model_registry.model import read_all
    from model_registry.models.speech.sound import AUDIO_HZ

    read_all(model, sounds[:1])
    synchronise(device)
    began = time.perf_counter()
    for _ in range(SPEECH_PASSES):
        read_all(model, sounds)
    return SPEECH_PASSES * sum(map(len, sounds)) / AUDIO_HZ / (time.perf_counter() - began)


def speech_sounds(videos: Sequence[Path]) -> list[NDArray[np.int16]]:
    """Up to 30 s each of the recordings that lie with the videos."""
    from benchmarks.speech_recordings import recordings
    from model_registry.models.speech.sound import AUDIO_HZ, LONGEST_S

    if not videos:
        raise NightjarError("no folder of recordings was given with --videos")
    step = LONGEST_S * AUDIO_HZ
    sounds = [each.sound for each in recordings(videos)]
    return [sound[start : start + step] for sound in sounds for start in range(0, len(sound), step)]


def frames_a_core_second(videos: Sequence[Path]) -> float:
    """Sampled frames that one core decodes in a second, sound left out, as the clip bundles sample them."""
    from pipelines.decode.child import DecodeChild
    from pipelines.decode.limits import Limits, Sampling
    from pipelines.decode.worker import Request

    if not videos:
        raise NightjarError("no folder of videos was given with --videos")
    sampling, limits = Sampling(threads=1, frame_side=224), Limits()
    child = DecodeChild(limits)
    try:
        list(child.windows(Request("0" * 64, str(videos[0]), videos[0].stat().st_size, sampling, limits)))
        count, began = 0, time.perf_counter()
        for path in videos:
            for window in child.windows(Request("0" * 64, str(path), path.stat().st_size, sampling, limits)):
                count += sum(len(times) for times in window.column("frame_ms"))
        return count / (time.perf_counter() - began)
    finally:
        child.close()
