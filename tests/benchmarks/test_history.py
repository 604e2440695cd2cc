"""What the last recorded run of the same kind of machine is, and what counts as a regression."""

from datetime import UTC, datetime

import pytest

from benchmarks import history
from benchmarks import registry as benches
from benchmarks.history import Run, Spread, change
from benchmarks.result import Bounds, Result
from jobs import session

HERE = {"processor": "An 'odd' CPU", "cores": "2", "accelerator": "none", "python": "3.11"}
REQUIRED = [Bounds("speed", "fast", min_value=1.0), Bounds("misses", "few", max_value=3)]


def record(name, result, machine=HERE):
    return session.log_run(f"bench {name}", result.setup, history.logged(result), {"benchmark": name, **machine})


@pytest.fixture
def _fixed(monkeypatch):
    """A benchmark named decode that takes no time, on HERE."""
    results = iter([Result({"throughput_vs_ffmpeg": [2.0, 2.1]}), Result({"throughput_vs_ffmpeg": [1.0, 1.1]})])
    asked = [Bounds("throughput_vs_ffmpeg", "against ffmpeg", min_value=0.9)]
    monkeypatch.setattr(benches, "bounds_of", lambda name: asked)
    monkeypatch.setattr(benches, "videos_in", lambda folder: [])
    monkeypatch.setattr(benches, "environment", lambda: dict(HERE))
    monkeypatch.setattr("benchmarks.decode.run", lambda videos, repeat: next(results))


# Which run


def test_nothing_was_recorded(registry):
    assert history.last_run("decode", HERE) is None


def test_the_newest_run_of_the_benchmark_is_found_with_its_spread(registry):
    record("decode", Result({"speed": [1.0, 2.0, 4.0]}, {"videos": 33}))
    newest = record("decode", Result({"speed": [3.0, 5.0, 4.0], "once": [7.0]}, {"videos": 3}))
    record("pipeline", Result({"speed": [9.0]}))
    found = history.last_run("decode", HERE)
    assert found.run_id == newest
    assert found.metrics == {"speed": Spread(4.0, 3.0, 5.0), "once": Spread(7.0, 7.0, 7.0)}
    assert found.setup == {"videos": "3"}
    assert (datetime.now(UTC) - found.when).total_seconds() < 60


@pytest.mark.parametrize("other", ["processor", "cores", "accelerator"])
def test_another_kind_of_machine_is_not_asked(registry, other):
    record("decode", Result({"speed": [1.0]}), {**HERE, other: "another"})
    assert history.last_run("decode", HERE) is None


def test_another_version_of_python_is_the_same_kind_of_machine(registry):
    record("decode", Result({"speed": [1.0]}), {**HERE, "python": "3.12"})
    assert history.last_run("decode", HERE) is not None


def test_a_median_is_under_the_metrics_own_name():
    assert history.logged(Result({"a": [3.0, 1.0, 2.0], "b": [5.0]})) == {"a": 2, "a.low": 1, "a.high": 3, "b": 5}


# What changed


@pytest.mark.parametrize(
    ("before", "now", "better", "verdict"),
    [
        (Spread(2.0, 1.9, 2.1), Spread(1.5, 1.4, 1.6), 1, "regression"),
        (Spread(2.0, 1.9, 2.1), Spread(1.5, 1.4, 1.6), -1, "improved"),
        (Spread(2.0, 1.9, 2.1), Spread(1.5, 1.4, 1.6), 0, "moved"),
        (Spread(2.0, 1.5, 2.1), Spread(1.5, 1.4, 1.6), 1, "same"),  # the repetitions overlap
        (Spread(2.0, 2.0, 2.0), Spread(1.95, 1.95, 1.95), 1, "same"),  # 2.5 %
        (Spread(2.0, 2.0, 2.0), Spread(1.85, 1.85, 1.85), 1, "regression"),  # 7.5 %
        (Spread(2.0, 1.9, 2.1), Spread(3.0, 2.9, 3.1), -1, "regression"),
        (Spread(0.0, 0.0, 0.0), Spread(1.0, 1.0, 1.0), -1, "regression"),
        (Spread(0.0, 0.0, 0.0), Spread(0.0, 0.0, 0.0), -1, "same"),
    ],
)
def test_a_regression_is_worse_by_a_share_and_out_of_the_noise(before, now, better, verdict):
    assert change("m", before, now, better).verdict == verdict


def test_a_bound_says_which_way_is_better():
    low, high = Bounds("m", "", min_value=1), Bounds("m", "", max_value=2)
    assert [history.better_of(asked) for asked in ([low], [high], [low, high])] == [1, -1, 0]


def test_only_required_metrics_that_both_have_are_compared():
    before = Run("id", datetime(2026, 1, 1, tzinfo=UTC), {"speed": Spread(2, 2, 2), "other": Spread(1, 1, 1)}, {})
    result = Result({"speed": [1.0], "misses": [0.0], "other": [5.0]})
    (found,) = history.changes([*REQUIRED, Bounds("speed", "", max_value=9)], result, before)
    assert (found.metric, found.percent, found.verdict) == ("speed", "-50.0 %", "moved")


def test_what_was_set_up_otherwise_is_named():
    before = Run("id", datetime(2026, 1, 1, tzinfo=UTC), {}, {"videos": "33", "gone": "1", "long": "x" * 500})
    result = Result({}, {"videos": 4, "new": True, "long": "x" * 600})
    assert history.other_setup(before, result) == ["videos 33 -> 4", "new absent -> True", "gone 1 -> absent"]


# The command


@pytest.mark.usefixtures("registry", "_fixed")
def test_the_command_prints_and_writes_the_regression(tmp_path, capsys):
    assert benches.run("decode", None, 1, tmp_path) == 0
    assert "against the run of" not in capsys.readouterr().out
    assert benches.run("decode", None, 1, tmp_path) == 0
    printed = capsys.readouterr().out
    assert "regression throughput_vs_ffmpeg: 1.050, was 2.050 (2.000 to 2.100), -48.8 %" in printed
    report = next(tmp_path.glob("*-decode.md")).read_text("utf-8")
    assert "| throughput_vs_ffmpeg | 2.050 | 1.050 | -48.8 % | regression |" in report


@pytest.mark.usefixtures("_fixed")
def test_a_store_that_cannot_be_read_costs_the_comparison_alone(home, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert benches.run("decode", None, 1, tmp_path) == 0
    assert capsys.readouterr().err.count("warning: ") == 2
    assert "Not logged to MLflow." in next(tmp_path.glob("*-decode.md")).read_text("utf-8")
