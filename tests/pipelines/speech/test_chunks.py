"""Spans to chunks: what is joined, what is cut and where."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.model import Span
from pipelines.speech.chunks import JOINED_MS, Chunk, chunks_of, quietest_ms

AUDIO_HZ = 16_000
LOUD = np.full(60 * AUDIO_HZ, 8000, np.int16)


def spans(*pairs: tuple[int, int]) -> list[Span]:
    return [Span(start_ms, end_ms, 0.9) for start_ms, end_ms in pairs]


def with_breath(at_ms: int, length_ms: int = 200) -> np.ndarray:
    sound = LOUD.copy()
    sound[at_ms * 16 : (at_ms + length_ms) * 16] = 100
    return sound


def test_no_speech_no_chunks():
    assert chunks_of([], LOUD) == []


def test_a_short_pause_joins_and_a_long_one_parts():
    assert chunks_of(spans((0, 1000), (1000 + JOINED_MS, 4000)), LOUD) == [Chunk(0, 4000, 4000 - JOINED_MS)]
    assert chunks_of(spans((0, 1000), (1001 + JOINED_MS, 4000)), LOUD) == [
        Chunk(0, 1000, 1000),
        Chunk(1001 + JOINED_MS, 4000, 2999 - JOINED_MS),
    ]


def test_no_chunk_grows_beyond_the_longest():
    found = chunks_of(spans((0, 4000), (4500, 8000), (8500, 12_000)), LOUD, longest_ms=8000)

    assert [(chunk.start_ms, chunk.end_ms) for chunk in found] == [(0, 8000), (8500, 12_000)]


def test_an_over_long_span_is_cut_at_a_breath():
    found = chunks_of(spans((1000, 13_000)), with_breath(8000), longest_ms=10_000)

    assert [chunk.end_ms for chunk in found] == [pytest.approx(8100, abs=100), 13_000]
    assert found[0].end_ms == found[1].start_ms


def test_a_breath_in_the_first_half_is_no_place_to_cut():
    found = chunks_of(spans((0, 13_000)), with_breath(2000), longest_ms=10_000)

    assert found[0].end_ms > 5000


def test_without_a_breath_it_is_cut_at_the_end():
    assert chunks_of(spans((0, 13_000)), LOUD, longest_ms=10_000)[0].end_ms == pytest.approx(10_000, abs=50)


def test_a_sound_that_ends_before_its_span_is_cut_hard():
    assert quietest_ms(LOUD[:100], 5000, 10_000) == 10_000


def test_loud_samples_do_not_overflow_into_quiet_ones():
    sound = np.full(AUDIO_HZ, -32_768, np.int16)
    sound[4000:4800] = 200

    assert quietest_ms(sound, 0, 1000) == pytest.approx(275, abs=26)


def test_a_chunk_is_a_view_of_its_samples():
    sound = np.arange(4 * AUDIO_HZ, dtype=np.int16)

    found = Chunk(1000, 2500, 1500).of(sound)

    assert np.shares_memory(found, sound)
    assert (found[0], len(found)) == (sound[AUDIO_HZ], 24_000)


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(250, 40_000)), max_size=12),
    st.sampled_from([5000, 10_000, 30_000]),
)
def test_every_moment_of_speech_is_in_one_chunk_and_none_is_too_long(pairs, longest_ms):
    found, at_ms = [], 0
    for pause_ms, length_ms in pairs:
        found.append((at_ms + pause_ms, at_ms + pause_ms + length_ms))
        at_ms = found[-1][1]

    chunks = chunks_of(spans(*found), LOUD, longest_ms)

    edges = [edge for chunk in chunks for edge in (chunk.start_ms, chunk.end_ms)]
    assert edges == sorted(edges)
    assert all(0 < chunk.end_ms - chunk.start_ms <= longest_ms for chunk in chunks)
    assert sum(chunk.speech_ms for chunk in chunks) == sum(end_ms - start_ms for start_ms, end_ms in found)
    for start_ms, end_ms in found:
        covered = sum(max(0, min(end_ms, each.end_ms) - max(start_ms, each.start_ms)) for each in chunks)
        assert covered == end_ms - start_ms
