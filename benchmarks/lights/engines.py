"""The ways of decoding side by side: processor time by codec, whether frames are the same, what scores make of it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_registry.bundles import bundle_named, pin
from model_registry.model import predict_all
from pipelines.decode.decord_reader import DecordReader, suits_decord
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.probe import MediaInfo, open_container, probe
from pipelines.decode.pyav_reader import PyAVReader
from pipelines.decode.sampling import EngineError, Frames
from pipelines.decode.sniff import Format, format_of
from pipelines.decode.sparse_reader import SparseReader, suits_sparse
from pipelines.decode.timeline import read_timeline

SAMPLING, LIMITS = Sampling(sound=False), Limits()


@dataclass
class Comparison:
    """Videos that all three engines read; processor seconds by codec."""

    seconds: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    videos: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    equal: list[bool] = field(default_factory=list)  # whether the sparse engine's frames are the whole decode's
    score_gaps: list[float] = field(default_factory=list)  # of Open-NSFW, a frame by sparse against decord

    def ratio(self, of: str, to: str) -> float:
        """Processor time of one engine over another's, all codecs together."""
        return sum(each[of] for each in self.seconds.values()) / sum(each[to] for each in self.seconds.values())

    def table(self) -> str:
        """Seconds by codec."""
        rows = [
            f"| {codec} | {self.videos[codec]} | {each['sparse']:.2f} | {each['decord']:.2f} | {each['pyav']:.2f} |"
            for codec, each in sorted(self.seconds.items())
        ]
        head = "| codec | videos | sparse, processor s | decord | every frame by PyAV |"
        return "\n".join([head, "|---|---|---|---|---|", *rows])


def compare(videos: Sequence[Path]) -> Comparison:
    """Read every video by each engine, one after the other."""
    found = Comparison()
    (scorer,) = pin(bundle_named("lite")).frame_models
    model = scorer.load("cpu")
    for path in videos:
        media = format_of(path, LIMITS)
        info = probe(path, media, LIMITS)
        if not (suits_sparse(info, SAMPLING) and suits_decord(media, info, SAMPLING)):
            continue
        spent: dict[str, float] = {}
        try:
            frames = {name: _frames(name, path, media, info, spent) for name in ("sparse", "decord", "pyav")}
        except EngineError:
            continue
        found.videos[info.codec] += 1
        for name, seconds in spent.items():
            found.seconds[info.codec][name] += seconds
        found.equal.append(np.array_equal(frames["sparse"], frames["pyav"]))
        scores = [predict_all(model, list(frames[name]))[:, 0] for name in ("sparse", "decord")]
        found.score_gaps += np.abs(scores[0] - scores[1]).tolist()
    return found


def _frames(name: str, path: Path, media: Format, info: MediaInfo, spent: dict[str, float]) -> NDArray[np.uint8]:
    began = time.process_time()
    frames_THWC = np.concatenate([frames for _, _, frames in _windows(name, path, media, info)])
    spent[name] = time.process_time() - began
    return frames_THWC


def _windows(name: str, path: Path, media: Format, info: MediaInfo) -> Iterator[Frames]:
    if name == "decord":
        with open_container(path, media) as container:
            timeline = read_timeline(container, info, LIMITS)
        yield from DecordReader(path, info, SAMPLING, timeline, lambda *_: True).windows()
    else:
        reader: type[SparseReader | PyAVReader] = SparseReader if name == "sparse" else PyAVReader
        yield from reader(path, media, info, SAMPLING, LIMITS).windows()
