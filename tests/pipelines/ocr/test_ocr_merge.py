"""Merging by hand, the hostile and the odd, and what holds for any readings."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.model import Line
from pipelines.ocr.merge import BOUNDARY_MS, MAX_LINES, Reading, edits, join_windows, merge, same_text

LOW, HIGH = (0.2, 0.8, 0.8, 0.9), (0.2, 0.1, 0.8, 0.2)


def line(text: str, confidence: float = 0.9, box: tuple[float, float, float, float] | None = LOW) -> Line:
    return Line(text, confidence, box=box)


def readings(*texts: str | tuple[str, ...]) -> list[Reading]:
    """One a second; of several, each has a place of its own."""
    rows = [(each,) if isinstance(each, str) else each for each in texts]
    return [
        Reading(1000 * second, tuple(line(text, box=(0.2, n / 10, 0.8, n / 10 + 0.05)) for n, text in enumerate(row)))
        for second, row in enumerate(rows)
    ]


def spans(lines: list[Line]) -> list[tuple[str, int, int]]:
    return [(each.text, each.start_ms, each.end_ms) for each in lines]


class TestMerge:
    def test_a_line_goes_from_where_it_is_first_read_to_where_it_is_gone(self):
        shown = readings((), "add me now", "add me now", (), "call us")

        assert spans(merge(shown, 5000)) == [("add me now", 1000, 3000), ("call us", 4000, 5000)]

    def test_nothing_read_is_nothing(self):
        assert merge([], 30_000) == []
        assert merge(readings((), "", " "), 30_000) == []

    def test_of_readings_that_differ_a_little_the_surest_stands(self):
        shown = [Reading(0, (line("加我徽信领红包", 0.7),)), Reading(1000, (line("加我微信领红包", 0.95),))]

        assert spans(merge(shown, 2000)) == [("加我微信领红包", 0, 2000)]
        assert merge(shown, 2000)[0].confidence == 0.95

    def test_short_texts_that_differ_are_two(self):
        assert spans(merge(readings("我喜欢你", "我喜欢他"), 2000)) == [("我喜欢你", 0, 1000), ("我喜欢他", 1000, 2000)]

    def test_alike_at_another_place_is_another_line(self):
        shown = [Reading(0, (line("win 500 today", box=LOW),)), Reading(1000, (line("win 600 today", box=HIGH),))]

        assert len(merge(shown, 2000)) == 2

    def test_case_and_spaces_are_no_difference(self):
        assert spans(merge(readings("Add Me", "ADDME"), 2000)) == [("Add Me", 0, 2000)]

    def test_a_line_missed_once_goes_on_and_missed_longer_is_new(self):
        once, twice = readings("gift", (), "gift"), readings("gift", (), (), "gift")

        assert spans(merge(once, 3000)) == [("gift", 0, 3000)]
        assert spans(merge(twice, 4000)) == [("gift", 0, 1000), ("gift", 3000, 4000)]

    def test_a_line_that_scrolls_is_one(self):
        shown = [
            Reading(1000 * step, (line("directed by nobody", box=(0.2, 0.9 - step / 5, 0.8, 1)),)) for step in range(4)
        ]

        assert spans(merge(shown, 4000)) == [("directed by nobody", 0, 4000)]

    def test_a_ticker_does_not_drift_into_one_line(self):
        ticker = "the quick brown fox jumps over the lazy dog and runs away from all of it"
        shown = readings(*(ticker[start : start + 20] for start in range(0, 40, 2)))
        found = merge(shown, 20_000)

        assert 3 <= len(found) <= 20
        assert max(each.end_ms - each.start_ms for each in found) <= 4000

    def test_the_same_text_twice_on_a_frame_is_one_line(self):
        assert spans(merge(readings(("SHELLS", "SHELLS")), 1000)) == [("SHELLS", 0, 1000)]

    def test_what_the_last_reading_has_lasts_beyond_it(self):
        assert spans(merge(readings("add me"), 0)) == [("add me", 0, 1)]

    def test_five_thousand_lines_in_a_frame_are_bounded(self):
        wall = [
            Reading(
                1000 * second,
                tuple(line(f"offer {number * 7 + second} of many", number / 5000) for number in range(5000)),
            )
            for second in range(5)
        ]
        began = time.process_time()
        found = merge(wall, 5000)

        assert time.process_time() - began < 10
        assert len(found) <= 5 * MAX_LINES
        assert {each.confidence for each in found} <= {number / 5000 for number in range(5000 - MAX_LINES, 5000)}


class TestJoin:
    def over(self, text: str, start_ms: int, end_ms: int, confidence: float = 0.9) -> Line:
        return Line(text, confidence, "en", start_ms, end_ms)

    def test_a_line_cut_by_a_window_is_one(self):
        cut = [self.over("add me now", 21_000, 30_000), self.over("add me n0w", 30_000, 33_000, 0.8)]

        assert join_windows(cut) == [self.over("add me now", 21_000, 33_000)]

    def test_a_watermark_goes_on_through_all_windows_beside_other_lines(self):
        windows = [self.over("@somebody", start, start + 30_000) for start in range(0, 300_000, 30_000)]
        captions = [self.over(f"caption number {number**3}", 500 * number, 500 * number + 500) for number in range(599)]

        found = join_windows(captions[300:] + windows + captions[:300])

        assert [each for each in found if each.text == "@somebody"] == [self.over("@somebody", 0, 300_000)]

    @pytest.mark.parametrize("start_ms", [29_000 - BOUNDARY_MS, 30_001 + BOUNDARY_MS])
    def test_what_does_not_follow_is_another_showing(self, start_ms):
        assert len(join_windows([self.over("add me", 0, 30_000), self.over("add me", start_ms, 40_000)])) == 2

    def test_another_text_is_another_line(self):
        assert len(join_windows([self.over("add me now", 0, 30_000), self.over("call us now", 30_000, 31_000)])) == 2

    def test_many_lines_at_one_time_are_bounded(self):
        crowd = [
            self.over(f"offer {number} {start}", start, start + 1000) for number in range(1500) for start in (0, 1000)
        ]
        began = time.process_time()
        join_windows(crowd)

        assert time.process_time() - began < 20


class TestSameText:
    def plain(self, one: str, other: str) -> int:
        """Levenshtein's distance as its definition has it."""
        if not one or not other:
            return len(one) + len(other)
        replaced = self.plain(one[1:], other[1:]) + (one[0] != other[0])
        return min(self.plain(one[1:], other) + 1, self.plain(one, other[1:]) + 1, replaced)

    @given(st.text("ab加", max_size=5), st.text("ab加", max_size=5), st.integers(0, 5))
    def test_edits_are_counted_as_defined(self, one, other, most):
        assert edits(one, other, most) == min(self.plain(one, other), most + 1)

    @given(st.text("abc", max_size=12), st.text("abc", max_size=12))
    def test_it_is_less_than_a_fifth_either_way_round(self, one, other):
        longer = max(len(one), len(other))
        wanted = one == other or 5 * edits(one, other, 99) < longer

        assert same_text(one, other) == same_text(other, one) == wanted


TEXTS = st.text("abAB 加我", max_size=8)
BOXES = st.sampled_from([LOW, HIGH, (0.1, 0.8, 0.3, 0.9), None])
LINES = st.builds(line, TEXTS, st.floats(0, 1), BOXES)
READINGS = st.lists(st.tuples(st.integers(1, 2500), st.lists(LINES, max_size=4)), max_size=10).map(
    lambda rows: [Reading(sum(step for step, _ in rows[: n + 1]), tuple(lines)) for n, (_, lines) in enumerate(rows)]
)


def key(text: str) -> str:
    return "".join(text.casefold().split())


@given(READINGS, st.integers(0, 30_000))
def test_merged_lines_are_readings_with_spans_that_hold_them(shown, more_ms):
    end_ms = (shown[-1].ms if shown else 0) + more_ms
    found = merge(shown, end_ms)

    assert [each.start_ms for each in found] == sorted(each.start_ms for each in found)
    read = {(each.text, each.confidence) for reading in shown for each in reading.lines}
    for each in found:
        assert (each.text, each.confidence) in read
        assert shown[0].ms <= each.start_ms < each.end_ms <= max(end_ms, shown[-1].ms + 1)


@given(READINGS, st.integers(0, 30_000))
def test_whatever_was_read_is_in_a_line_of_that_time(shown, more_ms):
    found = merge(shown, shown[-1].ms + 1 + more_ms) if shown else []

    for reading in shown:
        there = [key(each.text) for each in found if each.start_ms <= reading.ms < each.end_ms]
        for each in reading.lines:
            wanted = key(each.text)
            near = [edits(wanted, other, 99) * 2.5 <= max(len(wanted), len(other)) for other in there]
            assert not wanted or any(near)


@given(READINGS)
def test_joining_keeps_the_time_covered_and_what_is_joined_stays_joined(shown):
    lines = merge(shown, shown[-1].ms + 500) if shown else []
    joined = join_windows(lines)

    assert len(joined) <= len(lines)
    for each in lines:
        assert any(other.start_ms <= each.start_ms and each.end_ms <= other.end_ms for other in joined)
    assert {each.text for each in joined} <= {each.text for each in lines}


def test_another_digit_is_another_text_and_a_letter_for_a_digit_a_misreading() -> None:
    assert not same_text("call555014", "call555017")
    assert same_text("call555o14", "call555014")
    assert same_text("goodmorning", "goodmornlng")
