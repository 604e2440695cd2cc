"""One file to windows: choose the decoder, fall back where it fails, say how the video ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.decode.behind import cut_from, film_behind
from pipelines.decode.codes import CodeReader
from pipelines.decode.covers import covers_of
from pipelines.decode.decord_reader import DecordReader, suits_decord
from pipelines.decode.ending import End
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.picture_windows import later, picture_windows
from pipelines.decode.probe import MediaInfo, open_container, probe
from pipelines.decode.pyav_reader import PyAVReader, is_intact
from pipelines.decode.sampling import EngineError, Frames
from pipelines.decode.sniff import Format, lent, sniff_file
from pipelines.decode.sounds import Sounds, audible
from pipelines.decode.sparse_reader import SparseReader, suits_sparse
from pipelines.decode.structure import missing_end
from pipelines.decode.subtitles import Subtitles, subtitles_of
from pipelines.decode.timeline import Timeline, read_timeline
from pipelines.rows import AUDIO_HZ, ErrorCode, MediaError, Sound, Window

MISSING_SHARE = 0.05  # a picture track that ends this much before its own header says is cut off
MISSING_LEAST_MS = 200  # but a few pictures may be missing
LOST_MS, LOST_LEAST_MS, LOST_SHARE = 1500, 500, 0.1  # of pictures that did not come out, in one stretch
UNREAD_BYTES = 1 << 16
UNREAD_SHARE = 0.25  # of a file, behind its last packet: more than an index at the end takes


def read(
    path: Path,
    sampling: Sampling,
    limits: Limits,
    shortcuts: bool = True,
    check: Callable[[Path], None] = lambda _: None,
) -> Iterator[Window | End]:
    """Yield the windows of a file in order, then one End. Raises MediaError where nothing can be read.

    Without `shortcuts` every frame is decoded, by PyAV. `check` may raise MediaError for a file that is not the one
    wanted, or no more: it is asked before anything is read and before anything is said of the file as a whole.
    """
    with lent(path, limits) as nameless:
        check(nameless)
        try:
            for step in _steps(nameless, sampling, limits, shortcuts):
                if isinstance(step, End):
                    check(nameless)
                yield step
        except Exception:
            check(nameless)
            raise


def _steps(path: Path, sampling: Sampling, limits: Limits, shortcuts: bool) -> Iterator[Window | End]:
    media = sniff_file(path)
    if not media.is_picture:
        yield from _film(path, media, sampling, limits, shortcuts)
    elif not (behind := film_behind(path)):
        yield from picture_windows(path, sampling, limits)
    elif behind[0] == 0:
        yield from _film(path, behind[1], sampling, limits, shortcuts)
    else:
        yield from _photo_and_film(path, *behind, sampling, limits)


def _film(path: Path, media: Format, sampling: Sampling, limits: Limits, shortcuts: bool) -> Iterator[Window | End]:
    info = probe(path, media, limits)
    if not sampling.sound:
        info = _silent(info)
    audio = Sounds(path, media, info, limits)
    if info.has_video:
        steps = _with_sound(_Frames(path, media, info, sampling, limits, shortcuts), audio, info, sampling, limits)
        yield from _and_covers(steps, path, media, info, sampling, limits) if info.covers else steps
    else:
        yield from _sound_only(audio, info, sampling, limits)


def _and_covers(
    steps: Iterator[Window | End], path: Path, media: Format, info: MediaInfo, sampling: Sampling, limits: Limits
) -> Iterator[Window | End]:
    """Cover art in windows of its own, behind the film."""
    index = 0
    for step in steps:
        if isinstance(step, Window):
            index = step.index + 1
            yield step
            continue
        unseen = info.covers
        for picture in covers_of(path, media, sampling, limits):
            start_ms = index * sampling.window_ms
            yield Window(index, start_ms, start_ms, (start_ms,), picture[None])
            index, unseen = index + 1, unseen - 1
        error = MediaError(ErrorCode.UNSUPPORTED, f"{unseen} attached pictures were not looked at")
        yield replace(step, error=step.error or (error if unseen else None))


def _silent(info: MediaInfo) -> MediaInfo:
    if not info.has_video:
        raise MediaError(ErrorCode.NO_VIDEO, "there is no picture to look at, and sound was not asked for")
    duration_ms = 0 if info.has_audio else info.duration_ms
    return replace(info, has_audio=False, sound_tracks=(), unknown_tracks=(), duration_ms=duration_ms)


class _Frames:
    """Windows of frames by the cheapest engine for the file, and by PyAV on from where that gives up."""

    def __init__(
        self, path: Path, media: Format, info: MediaInfo, sampling: Sampling, limits: Limits, shortcuts: bool
    ) -> None:
        self.path, self.media, self.info, self.sampling, self.limits = path, media, info, sampling, limits
        self.shortcuts = shortcuts
        self.decoder = "decord"  # unless "sparse" or "pyav"
        self.timeline = Timeline(info, limits.max_duration_ms)
        self.codes: CodeReader | None = None

    def windows(self) -> Iterator[Frames]:
        done = -1
        try:
            for window in self._by_the_cheapest():
                yield window
                done = window[0]
        except MediaError:
            raise
        except Exception:  # noqa: BLE001 an engine raises anything, FFmpeg's EPERM out of a seek as PermissionError
            self.decoder = "pyav"
            for window in self._by(PyAVReader):
                if window[0] > done:
                    yield window

    def _by_the_cheapest(self) -> Iterator[Frames]:
        """Both engines want to know the packets first, and find those that they can go by."""
        if not self.shortcuts:
            raise EngineError("every frame is to be decoded")
        if suits_sparse(self.info, self.sampling):
            self.decoder = "sparse"
            yield from self._by(SparseReader)
        elif suits_decord(self.media, self.info, self.sampling):
            with open_container(self.path, self.media) as container:
                self.timeline = read_timeline(container, self.info, self.limits)
            intact = partial(is_intact, self.path, self.media, self.info)
            yield from DecordReader(self.path, self.info, self.sampling, self.timeline, intact).windows()
        else:
            raise EngineError("it is known to read such a file wrong")

    def _by(self, engine: type[SparseReader | PyAVReader]) -> Iterator[Frames]:
        reader = engine(self.path, self.media, self.info, self.sampling, self.limits)
        self.codes = reader.pixels.codes
        try:
            for window in reader.windows():
                yield window
                if self.codes:
                    self.codes.taken(0)  # of a window that another engine had
        finally:
            self.timeline = reader.timeline

    def taken(self, end_ms: int) -> dict[str, Any]:
        """What of a Window codes come to, since the last call."""
        if self.codes is None:
            return {}
        found, spent_ms = self.codes.taken(end_ms)
        return {"found": tuple(found), "codes_ms": spent_ms}

    def damage(self) -> str | None:
        """What was wrong with the pictures on the way, None for nothing."""
        seen, size = self.timeline, self.path.stat().st_size
        if seen.lost_ms > min(LOST_MS, max(LOST_LEAST_MS, LOST_SHARE * seen.end_ms)):
            return f"{seen.lost_ms / 1000:.1f} s of the pictures could not be decoded"
        if seen.bad_packets:
            return f"{seen.bad_packets} packets or frames of the video are damaged"
        if seen.jumps:
            return f"the clock of the video jumps back, {seen.jumps} times"
        if (unread := size - seen.read_to) > max(UNREAD_BYTES, UNREAD_SHARE * size):
            return f"the last {unread:,} of {size:,} bytes could not be read"
        return None


def _with_sound(
    frames: _Frames, audio: Sounds, info: MediaInfo, sampling: Sampling, limits: Limits
) -> Iterator[Window | End]:
    """Join every window of frames with its stretch of sound; a stretch with only one of the two is a window too."""
    per_window = sampling.window_ms * AUDIO_HZ // 1000
    index, began_s = 0, time.monotonic()
    last_frame_ms = -1
    for found, frame_ms, frames_THWC in frames.windows():
        while index < found:
            yield _window(index, sampling, audio.take(per_window))
            index += 1
        codes = frames.taken((found + 1) * sampling.window_ms)
        yield replace(_window(index, sampling, audio.take(per_window), frame_ms, frames_THWC), **codes)
        index, last_frame_ms = index + 1, int(frame_ms[-1])
    if last_frame_ms < 0:
        raise MediaError(ErrorCode.DAMAGED, f"no frame of the {info.codec} video could be decoded")
    while audible(sounds := audio.take(per_window)):
        limits.check_duration(audio.end_ms)
        yield _window(index, sampling, sounds)
        index += 1
    end_ms = max(frames.timeline.end_ms, last_frame_ms)
    texts = Subtitles()
    if info.subtitle_tracks:
        texts = subtitles_of(frames.path, frames.media, info, time.monotonic() - began_s)
    error = _how_it_ended(frames, audio, info, end_ms)
    if frames.timeline.has_captions:
        texts.unread.append("closed captions (CEA-608 or 708) are not read")
    if error is None and texts.unread:
        error = MediaError(ErrorCode.UNSUPPORTED, "; ".join(texts.unread))
    yield End("video", frames.decoder, max(end_ms, audio.end_ms), error, (*info.texts, *texts.lines))


def _window(
    index: int,
    sampling: Sampling,
    sounds: tuple[Sound, ...],
    frame_ms: NDArray[np.int64] | None = None,
    frames_THWC: NDArray[np.uint8] | None = None,
) -> Window:
    start_ms = index * sampling.window_ms
    times = () if frame_ms is None else tuple(int(ms) for ms in frame_ms)
    return Window(index, start_ms, start_ms + sampling.window_ms, times, frames_THWC, sounds)


def _how_it_ended(frames: _Frames, audio: Sounds, info: MediaInfo, end_ms: int) -> MediaError | None:
    """Hold what was seen to what the file promises; a container that speaks for all its tracks may mean the sound."""
    promised_ms = info.video_end_ms or info.duration_ms
    seen_ms = end_ms if info.video_end_ms else max(end_ms, audio.end_ms)
    if promised_ms - seen_ms > max(MISSING_LEAST_MS, MISSING_SHARE * promised_ms, frames.timeline.usual_gaps_ms(2)):
        ends = f"pictures end at {end_ms / 1000:.1f} s of {promised_ms / 1000:.1f} s"
        return MediaError(ErrorCode.TRUNCATED, ends)
    if cut := missing_end(frames.path, frames.media):
        return MediaError(ErrorCode.TRUNCATED, cut)
    if damage := frames.damage():
        return MediaError(ErrorCode.DAMAGED, damage)
    if complaint := audio.damage():
        return complaint
    if info.video_tracks > 1:
        return MediaError(ErrorCode.UNSUPPORTED, f"only the first of {info.video_tracks} picture tracks was looked at")
    return None


def _sound_only(audio: Sounds, info: MediaInfo, sampling: Sampling, limits: Limits) -> Iterator[Window | End]:
    per_window = sampling.window_ms * AUDIO_HZ // 1000
    index = 0
    while audible(sounds := audio.take(per_window)):
        limits.check_duration(audio.end_ms)
        yield _window(index, sampling, sounds)
        index += 1
    if index == 0:
        raise MediaError(ErrorCode.DAMAGED, "no sample of the sound could be decoded")
    unseen = MediaError(ErrorCode.NO_VIDEO, "there is sound and no picture to look at")
    yield End("audio", "pyav", audio.end_ms, audio.cut_short() or audio.damage() or unseen, info.texts)


def _photo_and_film(path: Path, begin: int, film: Format, sampling: Sampling, limits: Limits) -> Iterator[Window | End]:
    """A motion photo: the still first, and its film from the next window on."""
    index = 0
    for step in picture_windows(path, sampling, limits):
        if isinstance(step, Window):
            yield step
            index = step.index + 1
    with cut_from(path, begin) as behind:
        for step in _film(behind, film, sampling, limits, True):
            yield later(step, index, index * sampling.window_ms)
