"""What the packets of the picture track say without being decoded: when pictures are shown, and which were lost."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from pipelines.decode.clock import clock_ms
from pipelines.decode.limits import Limits
from pipelines.decode.probe import MediaInfo, demux, video_tracks

CAPTIONS = b"GA94\x03"
CAPTIONS_WITHIN = 2048  # bytes: in front of the picture itself


class Timeline:
    """Filled packet by packet while a file is read; a decoder may tell it which pictures came out."""

    def __init__(self, info: MediaInfo, longest_ms: int, keyframes_only: bool = False) -> None:
        self.info, self.longest_ms, self.keyframes_only = info, longest_ms, keyframes_only
        self.end_ms = 0
        self.read_to = 0  # bytes of the file, all tracks
        self.is_plain = True  # every packet is one picture at a time of its own; none is hidden or known as damaged
        self.bad_packets = 0
        self.lost_ms = 0  # the longest stretch whose packets gave no picture
        self.jumps = 0  # of the clock, back
        self.has_captions = False  # CEA-608 or 708, among the data of a picture
        self._starts = array("q")
        self._keys = array("b")
        self._last_dts: int | None = None
        self._awaited: list[int] = []  # a heap

    def packets(self, container: InputContainer) -> Iterator[av.Packet[Any]]:
        """Demux to the end of the file or to where it breaks; yield the packets of the picture track."""
        stream = video_tracks(container)[0]
        try:
            for packet in demux(container, *container.streams):
                self.read_to = max(self.read_to, (packet.pos or 0) + packet.size)
                if packet.stream is stream:
                    self.has_captions = self.has_captions or has_captions(bytes(memoryview(packet)[:CAPTIONS_WITHIN]))
                    self._note(packet)
                    yield packet
        except av.FFmpegError:
            self._is_bad()

    def starts_ms(self) -> NDArray[np.int64]:
        """When the pictures are shown, in order."""
        return np.sort(self.in_decoding_order_ms())

    def usual_gaps_ms(self, count: int) -> float:
        """How long so many pictures last, by the middle one of all distances."""
        starts_ms = self.starts_ms()
        return count * float(np.median(np.diff(starts_ms))) if len(starts_ms) > 1 else 0.0

    def in_decoding_order_ms(self) -> NDArray[np.int64]:
        """When the pictures are shown, in the order of their packets."""
        return np.array(self._starts, np.int64)

    def is_key(self) -> NDArray[np.bool_]:
        """Which of the packets are keyframes."""
        return np.array(self._keys, np.bool_)

    def shown(self, start_ms: int) -> None:
        """A picture came out: packets that were due before it are not coming any more."""
        while self._awaited and self._awaited[0] <= start_ms:
            self.lost_ms = max(self.lost_ms, start_ms - heapq.heappop(self._awaited))

    def _note(self, packet: av.Packet[Any]) -> None:
        if packet.pts is None or packet.time_base is None:
            self.is_plain &= packet.size == 0  # as the flushing packet at the end is
            return
        start_ms = clock_ms(packet.pts, packet.time_base, self.info.start_us)
        if abs(start_ms) > self.longest_ms:
            self._is_bad()
            return
        self.is_plain &= not (packet.is_discard or packet.is_corrupt)
        if packet.dts is not None:  # Matroska has none before the first pictures are put in order
            self.is_plain &= self._last_dts is None or packet.dts > self._last_dts
            self._last_dts = packet.dts
        self._starts.append(start_ms)
        self._keys.append(packet.is_keyframe)
        if not packet.is_discard:
            self._await(packet, start_ms)

    def _await(self, packet: av.Packet[Any], start_ms: int) -> None:
        length_ms = clock_ms(packet.duration or 0, packet.time_base, 0)
        self.end_ms = max(self.end_ms, min(start_ms + length_ms, self.longest_ms))
        if packet.is_keyframe or not self.keyframes_only:
            heapq.heappush(self._awaited, start_ms)

    def _is_bad(self) -> None:
        self.bad_packets += 1
        self.is_plain = False


def has_captions(head: bytes) -> bool:
    """Whether a picture's data begins with closed captions that say something (ATSC A/53, part 4, 6.2.3)."""
    at = head.find(CAPTIONS)
    if at < 0 or len(head) < at + 7:
        return False
    begin = at + 7
    triples = (head[place : place + 3] for place in range(begin, begin + 3 * (head[at + 5] & 31), 3))
    return any(len(each) == 3 and each[0] & 4 and (each[1] & 127 or each[2] & 127) for each in triples)


def read_timeline(container: InputContainer, info: MediaInfo, limits: Limits) -> Timeline:
    """Demux to the end and decode nothing."""
    timeline = Timeline(info, limits.max_duration_ms)
    for _ in timeline.packets(container):
        pass
    gaps_ms = np.diff(timeline.starts_ms(), prepend=-1)
    timeline.is_plain &= len(gaps_ms) > 0 and bool(np.all(gaps_ms > 0))
    return timeline
