"""Signals: what scores from the floor on becomes a row, with the time its frame stood for."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_registry.model import InputKind, ModelRef, ModelSpec
from pipelines.risk.signals import FLOOR, Collect, spans
from pipelines.rows import SIGNAL
from tests.windows import seen


class Careful:
    """Stands for a model class: only its spec is read."""

    spec = ModelSpec(
        name="careful",
        version="2",
        reads=InputKind.FRAME,
        artifacts=(),
        labels=("Gambling", "Alcohol"),
        caveat="only on green cloth",
    )


class Calibrated:
    """One label, calibrated."""

    spec = ModelSpec(
        name="sure", version="1", reads=InputKind.FRAME, artifacts=(), labels=("Explicit",), calibrated=True
    )


CAREFUL = ModelRef("careful", "2", f"{__name__}:Careful")
SURE = ModelRef("sure", "1", f"{__name__}:Calibrated")


def collected(table: pa.Table, *heads: tuple[ModelRef, str]) -> pa.Table:
    (out,) = Collect.of(heads).open()(table)
    return out


def windows(frame_ms, end_ms, **scores) -> pa.Table:
    """One row a window; scores as lists of vectors."""
    columns = {
        name: pa.array(lists, pa.list_(pa.list_(pa.float32(), len(lists[0][0])))) for name, lists in scores.items()
    }
    return pa.table({"frame_ms": pa.array(frame_ms, pa.list_(pa.int64())), "end_ms": end_ms, **columns})


class TestCollect:
    def test_one_row_for_each_score_from_the_floor_on(self):
        below = FLOOR - 1e-4
        table = windows([[0, 1000]], [2500], a=[[[0.9, below], [below, FLOOR]]])
        (signals,) = collected(table, (CAREFUL, "a"))["signals"].to_pylist()

        assert [(s["label"], s["start_ms"], s["end_ms"], s["evidence_ms"]) for s in signals] == [
            ("Gambling", 0, 1000, 0),
            ("Alcohol", 1000, 2500, 1000),
        ]
        assert [s["score"] for s in signals] == pytest.approx([0.9, FLOOR])

    def test_it_names_its_source_and_what_to_think_of_it(self):
        table = windows([[0]], [1000], a=[[[0.9, 0.0]]], b=[[[0.8]]])
        (signals,) = collected(table, (CAREFUL, "a"), (SURE, "b"))["signals"].to_pylist()

        assert [(s["source"], s["form"], s["detail"]) for s in signals] == [
            ("careful@2", "Image", "raw score; only on green cloth"),
            ("sure@1", "Image", ""),
        ]

    def test_every_window_gets_its_own_also_one_without_frames(self):
        table = windows([[0], [], [60_000]], [30_000, 60_000, 61_000], b=[[[0.8]], [], [[0.7]]])
        column = collected(table, (SURE, "b"))["signals"]

        assert column.type == pa.list_(SIGNAL)
        assert [[s["start_ms"] for s in signals] for signals in column.to_pylist()] == [[0], [], [60_000]]

    def test_scores_are_not_kept(self):
        out = collected(windows([[0]], [1000], b=[[[0.8]]]), (SURE, "b"))

        assert out.column_names == ["frame_ms", "end_ms", "signals"]

    def test_no_windows(self):
        table = windows([[0]], [1000], b=[[[0.8]]]).slice(0, 0)

        assert collected(table, (SURE, "b")).num_rows == 0

    def test_a_slice_of_a_larger_table(self):
        table = windows([[0], [30_000], [60_000]], [30_000, 60_000, 61_000], b=[[[0.1]], [[0.2]], [[0.3]]]).slice(1, 1)
        (signals,) = collected(table, (SURE, "b"))["signals"].to_pylist()

        assert [(s["start_ms"], s["end_ms"]) for s in signals] == [(30_000, 60_000)]
        assert signals[0]["score"] == pytest.approx(0.2)


class TestSpans:
    def test_a_frame_stands_until_the_next_and_the_last_until_its_window_ends(self):
        starts_ms, ends_ms = spans([[0, 1000], [30_000]], [30_000, 31_500])

        assert starts_ms.tolist() == [0, 1000, 30_000]
        assert ends_ms.tolist() == [1000, 30_000, 31_500]

    def test_a_picture_stands_for_no_time(self):
        starts_ms, ends_ms = spans([[0]], [0])

        assert (starts_ms.tolist(), ends_ms.tolist()) == ([0], [0])

    def test_a_window_that_ends_before_its_last_frame(self):
        _, ends_ms = spans([[0, 900]], [800])

        assert ends_ms.tolist() == [900, 900]

    def test_nothing(self):
        starts_ms, ends_ms = spans([[], []], [30_000, 60_000])

        assert (starts_ms.tolist(), ends_ms.tolist()) == ([], [])

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.sets(st.integers(0, 29), max_size=5), st.integers(0, 30)), max_size=5))
    def test_no_frame_ends_before_it_begins_nor_after_the_next_begins(self, cut):
        frames = [[index * 30 + ms for ms in sorted(times)] for index, (times, _) in enumerate(cut)]
        starts_ms, ends_ms = spans(frames, [index * 30 + end for index, (_, end) in enumerate(cut)])

        assert len(starts_ms) == len(ends_ms) == sum(map(len, frames))
        assert (ends_ms >= starts_ms).all()
        assert (ends_ms[:-1] <= starts_ms[1:]).all()


def test_the_model_is_the_source_without_its_version():
    assert seen(0.5, 0, 1, source="clip@1@2").model == "clip"
