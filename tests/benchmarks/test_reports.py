"""Reports: what is met, missed or not measured, the pictures, and where they stand."""

import os
import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from benchmarks import memory
from benchmarks.history import Run, Spread, change
from benchmarks.plots import draw
from benchmarks.report import History, markdown, write
from benchmarks.requirements import bounds_of, names, requirements
from benchmarks.result import Bounds, Chart, Result, check
from model_registry.errors import NightjarError

WHEN = datetime(2026, 11, 22, 10, 2, tzinfo=UTC)
RESULT = Result(
    {"speed": [2.0, 2.5, 3.0], "misses": [4.0]},
    {"videos": 33},
    ["A sentence."],
    [Chart("Seconds by stage", "s", {"decode": [3.0, 3.4, 3.2], "look": [2.0]})],
)
REQUIRED = [Bounds("speed", "fast", min_value=2), Bounds("misses", "few", max_value=3)]
PAST = History(
    Run("0123", datetime(2026, 11, 1, tzinfo=UTC), {}, {}),
    [
        change("misses", Spread(4, 4, 4), Spread(4, 4, 4), -1),
        change("speed", Spread(5, 5, 5), Spread(2.5, 2, 3), 1),
    ],
    ["videos 4 -> 33"],
)


def checks():
    return [check(bounds, RESULT) for bounds in REQUIRED]


# Requirements


def test_every_row_of_the_table_asks_for_something():
    assert len(names()) > 10
    assert all(bounds.claim for name in names() for bounds in bounds_of(name))
    assert requirements("decode")[0]["metric"] == bounds_of("decode")[0].metric


def test_a_row_without_a_bound_is_refused():
    with pytest.raises(ValueError, match="the requirement of speed has no bound, wanted min_value or max_value"):
        Bounds("speed", "fast")


def test_a_median_is_held_against_its_bound():
    assert [each.missed for each in checks()] == [False, True]
    assert checks()[0].sentence == "speed: 2.500 (2.000 to 3.000), wanted at least 2: met. fast"
    assert checks()[1].sentence == "misses: 4.000 (4.000 to 4.000), wanted at most 3: MISSED. few"


def test_what_could_not_be_measured_is_neither_met_nor_missed():
    found = check(REQUIRED[0], Result({}, unmeasured={"speed": "no GPU"}))
    assert not found.missed
    assert found.sentence == "speed: not measured: no GPU; wanted at least 2. fast"


def test_a_metric_that_is_forgotten_is_an_error():
    with pytest.raises(NightjarError, match="measured no speed and does not say why; it measured misses"):
        check(REQUIRED[0], Result({"misses": [1.0]}))


@pytest.mark.parametrize(
    ("bars", "sentence"),
    [({}, "chart 'T' has no bars"), ({"one": [1.0], "none": []}, "chart 'T' has no value for none")],
)
def test_a_chart_that_cannot_be_drawn_is_refused(bars, sentence):
    with pytest.raises(ValueError, match=sentence):
        Chart("T", "s", bars)


# History


def test_regressions_come_first_on_a_terminal():
    head, first, second, caveat = PAST.lines
    assert head == "against the run of 2026-11-01 00:00 UTC (0123):"
    assert first == "regression speed: 2.500, was 5.000 (5.000 to 5.000), -50.0 %"
    assert second.startswith("same       misses")
    assert caveat == "set up otherwise: videos 4 -> 33"


def test_the_report_has_then_and_now_and_what_was_set_up_otherwise():
    lines = markdown("n", WHEN, RESULT, [], {}, "id", PAST).splitlines()
    assert "| speed | 5.000 | 2.500 | -50.0 % | regression |" in lines
    assert "The two were set up otherwise: videos 4 -> 33." in lines


def test_without_a_past_nothing_is_said_of_it():
    assert "## " not in markdown("n", WHEN, RESULT, [], {}, "id")


# Pictures


def texts(path):
    return [found.text for found in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_the_report_shows_pictures_that_lie_beside_it(tmp_path):
    path = write(tmp_path / "new", "speed", WHEN, RESULT, checks(), {"cores": "2"}, "", PAST)
    report = path.read_text("utf-8")
    shown = re.findall(r"!\[([^]]+)\]\(([^)]+)\)", report)
    assert path.name == "2026-11-22-speed.md"
    assert [file for _, file in shown] == ["2026-11-22-speed-required.svg", "2026-11-22-speed-seconds-by-stage.svg"]
    assert all((path.parent / file).stat().st_size < 40_000 for _, file in shown)
    assert report.endswith("Not logged to MLflow.\n")


def test_a_picture_names_every_required_metric_and_every_bar(tmp_path):
    draw(tmp_path, "x", RESULT, REQUIRED)
    assert {"speed", "misses"} <= set(texts(tmp_path / "x-required.svg"))
    assert {"decode", "look", "Seconds by stage, s", "3.2"} <= set(texts(tmp_path / "x-seconds-by-stage.svg"))


def test_the_same_run_gives_the_same_bytes(tmp_path):
    once, again = (draw(tmp_path / name, "x", RESULT, REQUIRED, PAST.changes) for name in folders(tmp_path))
    assert len(once) == 2
    for one, other in zip(once.values(), again.values(), strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert b"<dc:date>" not in one.read_bytes()


def folders(root):
    for name in ("once", "again"):
        (root / name).mkdir()
        yield name


def test_dots_are_red_where_a_bound_is_missed_and_a_diamond_shows_the_last_run(tmp_path):
    draw(tmp_path, "met", Result({"speed": [2.5]}), REQUIRED[:1])
    draw(tmp_path, "missed", Result({"speed": [1.5]}), REQUIRED[:1], PAST.changes)
    met, missed = ((tmp_path / f"{name}-required.svg").read_text("utf-8") for name in ("met", "missed"))
    assert ("#e5534b" in met, "#e5534b" in missed) == (False, True)
    assert missed.count("#7d8590") > met.count("#7d8590")


def test_nothing_is_drawn_of_what_was_not_measured(tmp_path):
    assert draw(tmp_path, "x", Result({}, unmeasured={"speed": "no GPU"}), REQUIRED) == {}
    assert list(tmp_path.iterdir()) == []


# Memory


def test_the_object_store_is_read_off_the_raylets_file(monkeypatch, tmp_path):
    """Its file is open and has no name; blocks count, not the length that Ray asks for."""

    class Raylet:
        pid = os.getpid()

        def name(self):
            return "raylet"

        def children(self, recursive):
            return [self]

    monkeypatch.setattr(memory.psutil, "Process", lambda pid: Raylet())
    before = memory.object_store_bytes(1)
    with (tmp_path / "plasmaABC").open("wb") as file:
        (tmp_path / "plasmaABC").unlink()
        file.truncate(1 << 30)
        file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())
        assert before + (1 << 20) <= memory.object_store_bytes(1) < before + (2 << 20)


def test_memory_takes_the_shortest_of_the_videos(real_media):
    videos = sorted((real_media / "clip").glob("*.mp4"))[:20]
    found = memory._shortest(videos)
    lengths = {
        path: memory.probe(path, memory.format_of(path, memory.Limits()), memory.Limits()).duration_ms
        for path in videos
    }
    assert len(found) == memory.CLIPS
    assert max(lengths[path] for path in found) <= min(lengths[path] for path in set(videos) - set(found))
