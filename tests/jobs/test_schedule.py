"""The schedule: when nights are due over every change of the clocks, what the file may say, what cron is told."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import schedule as command
from jobs.scheduling.file import Schedule, load_schedule, parse_schedule
from jobs.scheduling.timetable import Timetable, dated
from model_registry.errors import UsageError

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
NIGHT = date(2026, 11, 21)
SHORT = {"at": "02:30", "timezone": "Asia/Shanghai", "input": "in/dt=%Y-%m-%d/", "output": "out"}


def at(hour: int, minute: int, zone: ZoneInfo, **options: Any) -> Timetable:
    return Timetable(time(hour, minute), zone, **options)


class TestDue:
    def test_a_night_is_due_on_the_next_day(self):
        assert at(2, 30, SHANGHAI).due_at(NIGHT).isoformat() == "2026-11-22T02:30:00+08:00"
        assert at(23, 0, SHANGHAI, day_offset=0).due_at(NIGHT).isoformat() == "2026-11-21T23:00:00+08:00"

    @pytest.mark.parametrize(
        ("zone", "hour", "minute", "night", "due"),
        [
            ("Europe/Berlin", 2, 30, "2026-03-28", "2026-03-29T03:00:00+02:00"),  # 02:00 becomes 03:00
            ("Europe/Berlin", 2, 30, "2026-10-24", "2026-10-25T02:30:00+02:00"),  # 03:00 becomes 02:00
            ("America/New_York", 1, 30, "2026-10-31", "2026-11-01T01:30:00-04:00"),
            ("Australia/Lord_Howe", 2, 10, "2026-10-03", "2026-10-04T02:30:00+11:00"),  # by half an hour
            ("America/Sao_Paulo", 0, 0, "2018-11-03", "2018-11-04T01:00:00-02:00"),  # midnight does not exist
            ("Pacific/Apia", 2, 30, "2011-12-29", "2011-12-31T00:00:00+14:00"),  # a whole day does not exist
        ],
    )
    def test_a_time_that_exists_twice_or_not_at_all_is_one_moment(self, zone, hour, minute, night, due):
        table = at(hour, minute, ZoneInfo(zone))

        assert table.due_at(date.fromisoformat(night)).isoformat() == due

    @settings(max_examples=25, deadline=None)
    @given(
        zone=st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
        minute=st.integers(0, 24 * 60 - 1),
        start=st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
        offset=st.integers(0, 2),
    )
    def test_who_looks_every_hour_sees_every_night_once(self, zone, minute, start, offset):
        table = at(*divmod(minute, 60), ZoneInfo(zone), day_offset=offset)
        seen: list[date] = []
        for hour in range(24 * 12):
            for night in table.nights_due(start + timedelta(hours=hour), 3):
                if night not in seen:
                    seen.append(night)

        assert seen == [seen[0] + timedelta(days=n) for n in range(len(seen))], "none left out, oldest first"
        assert 12 <= len(seen) <= 15

    def test_to_the_second(self):
        due = datetime(2026, 11, 22, 2, 30, tzinfo=SHANGHAI)

        assert at(2, 30, SHANGHAI).nights_due(due, 1) == [NIGHT]
        assert at(2, 30, SHANGHAI).nights_due(due - timedelta(seconds=1), 1) == [NIGHT - timedelta(days=1)]

    def test_nights_before_the_first_are_nobodys_business(self):
        table = at(2, 30, SHANGHAI, first_night=NIGHT)

        assert table.nights_due(datetime(2026, 11, 23, 3, tzinfo=SHANGHAI), 7) == [NIGHT, date(2026, 11, 22)]
        assert table.nights_due(datetime(2026, 11, 20, 3, tzinfo=SHANGHAI), 7) == []
        assert table.next_runs(datetime(2026, 1, 1, tzinfo=UTC), 1)[0][1] == NIGHT

    def test_next_runs_over_the_end_of_summer_time(self):
        runs = at(2, 30, BERLIN).next_runs(datetime(2026, 10, 24, 12, tzinfo=UTC), 3)

        assert [due.isoformat() for due, _ in runs] == [
            "2026-10-25T02:30:00+02:00",
            "2026-10-26T02:30:00+01:00",
            "2026-10-27T02:30:00+01:00",
        ]
        assert [night.day for _, night in runs] == [24, 25, 26]

    def test_a_run_that_begins_now_is_not_a_next_one(self):
        now = datetime(2026, 11, 22, 2, 30, tzinfo=SHANGHAI)

        assert at(2, 30, SHANGHAI).next_runs(now, 1)[0][0] == now + timedelta(days=1)


class TestDated:
    @pytest.mark.parametrize(
        ("text", "filled"),
        [
            ("s3://b/dt=%Y-%m-%d/", "s3://b/dt=2026-11-21/"),
            ("in/%y%m%d-%j.csv", "in/261121-325.csv"),
            ("in/%Y/100%%.csv", "in/2026/100%.csv"),
            ("in/a.csv", "in/a.csv"),
            ("file:///in/%E9%FF/%Y.csv", "file:///in/%E9%FF/2026.csv"),
            ("file:///in/%d0%b0.csv", "file:///in/%d0%b0.csv"),  # a letter, percent-encoded
        ],
    )
    def test_a_pattern_is_filled(self, text, filled):
        assert dated(text, NIGHT) == filled

    def test_a_file_of_that_very_name_is_no_pattern(self, tmp_path):
        (tmp_path / "%Y.csv").touch()

        assert dated(str(tmp_path / "%Y.csv"), NIGHT) == str(tmp_path / "%Y.csv")

    def test_another_directive_is_refused(self):
        with pytest.raises(UsageError, match=r"^pattern '%Y/%H' has %H, allowed: %Y, %m, %d, %y, %j$"):
            dated("%Y/%H", NIGHT)


class TestFile:
    def test_the_example_says_every_key_and_parses(self):
        text = command.EXAMPLE.read_text("utf-8")
        whole = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
        plan = parse_schedule(tomllib.loads(whole))

        from jobs.scheduling.cluster import KEYS as CLUSTER_KEYS
        from jobs.scheduling.file import KEYS

        assert set(tomllib.loads(whole)) == set(KEYS)
        assert set(tomllib.loads(whole)["kubernetes"]) | {"name"} == set(CLUSTER_KEYS)
        assert plan.recall(NIGHT)[:5] == [
            "recall",
            "--date",
            "2026-11-21",
            "--input",
            "s3://example-uploads/dt=2026-11-21/",
        ]
        assert isinstance(parse_schedule(tomllib.loads(text)), Schedule)

    def test_what_recall_is_called_with(self):
        given = {"bundle": "lite", "policy": "strict", "bank": "bank", "lexicons": ["a.toml", "b.toml"]}
        plan = parse_schedule(SHORT | given | {"options": ["--skip", "ocr"]})

        assert plan.recall(NIGHT) == shlex.split(
            "recall --date 2026-11-21 --input in/dt=2026-11-21/ --output out --bundle lite --policy strict --bank bank "
            "--lexicon a.toml --lexicon b.toml --skip ocr"
        )

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"at": "25:00"}, "at is '25:00', wanted a local time such as '02:30'"),
            ({"at": "2:30"}, "at is '2:30', wanted a local time"),
            ({"timezone": "Shanghai"}, "timezone is 'Shanghai', wanted a name of the time zone database"),
            ({"timezone": "../../etc/passwd"}, "timezone is '../../etc/passwd', wanted"),
            ({"timezone": "Europe"}, "timezone is 'Europe', wanted"),
            ({"day_offset": -1}, "day_offset is -1, wanted a whole number from 0 to 31"),
            ({"catch_up_nights": 0}, "catch_up_nights is 0, wanted a whole number from 1 to 366"),
            (
                {"first_night": "2026-11-21"},
                "first_night is '2026-11-21', wanted a day such as 2026-11-21, without quotes",
            ),
            ({"input": "in.csv"}, "input is 'in.csv', wanted a text with the day in it"),
            ({"input": "in/%Y/%q"}, "pattern 'in/%Y/%q' has %q, allowed"),
            ({"ready": "done"}, "ready is 'done', wanted a text with the day in it"),
            ({"bundle": "huge"}, "bundle is 'huge', wanted one of lite, clip-b32, clip-l14"),
            ({"options": ["--date=2026-01-01"]}, "options has '--date=2026-01-01', wanted none of --date, --input"),
            (
                {"webhook": "https://hooks.example/T0/s3cret"},
                "webhook is not the name of an environment variable, wanted one such as 'env:",
            ),
            ({"webhoook": "env:X"}, "has 'webhoook'; allowed: at, timezone"),
            ({"output": "s3://key:s3cret@bucket/out"}, "output is 's3://bucket/...' with credentials or a query"),
            (
                {"output": "https://store.example/out?sig=s3cret"},
                "output is 'https://store.example/...' with credentials",
            ),
        ],
    )
    def test_a_fault_is_one_sentence_that_names_file_key_value_and_what_is_allowed(self, changes, said, tmp_path):
        lines = [f"{name} = {_toml(value)}" for name, value in (SHORT | changes).items()]
        (tmp_path / "nightly.toml").write_text("\n".join(lines))
        with pytest.raises(UsageError) as refused:
            load_schedule(tmp_path / "nightly.toml")

        text = (
            str(refused.value)
            .removeprefix(f"schedule {tmp_path}/nightly.toml: ")
            .removeprefix("it ")
            .removeprefix("it: ")
        )
        assert text.startswith(said)
        assert "\n" not in text
        assert "s3cret" not in text

    @pytest.mark.parametrize("name", ["at", "timezone", "input", "output"])
    def test_what_is_missing(self, name):
        with pytest.raises(UsageError, match=f"lacks {name}, wanted "):
            parse_schedule({key: value for key, value in SHORT.items() if key != name})

    @pytest.mark.parametrize(
        ("content", "said"), [(b"at = ", "Invalid value"), (b"at = '\xff'", "byte 7 is not UTF-8")]
    )
    def test_a_file_that_is_none(self, content, said, tmp_path):
        (tmp_path / "n.toml").write_bytes(content)
        with pytest.raises(UsageError, match=said):
            load_schedule(tmp_path / "n.toml")
        with pytest.raises(UsageError, match=r"schedule .*no\.toml cannot be read: No such file"):
            load_schedule(tmp_path / "no.toml")


def _toml(value: Any) -> str:
    return str(value).replace("'", '"') if isinstance(value, list) else repr(value)


class TestCommand:
    @pytest.fixture
    def file(self, tmp_path, monkeypatch) -> Path:
        monkeypatch.chdir(tmp_path)
        path = tmp_path / "100% our night.toml"
        lines = [
            f"{name} = {_toml(value)}" for name, value in (SHORT | {"webhook": "env:HOOK", "retry_hours": 3}).items()
        ]
        path.write_text("\n".join(lines) + "\nfirst_night = 2026-11-20\n")
        return path

    def test_the_example_is_the_file(self, capsys):
        assert called("example") == 0
        assert capsys.readouterr().out == command.EXAMPLE.read_text("utf-8")

    def test_a_crontab_entry_is_five_fields_and_absolute(self, file, capsys):
        assert called("cron", str(file)) == 0
        *comments, zone, entry = capsys.readouterr().out.splitlines()

        assert all(line.startswith("# ") for line in comments)
        assert "HOOK must be in its environment" in comments[-1]
        assert zone == "CRON_TZ=Asia/Shanghai"
        assert entry.startswith("30 2,3,4,5 * * * cd ")
        words = shlex.split(entry.partition("* * * ")[2].replace(r"\%", "%"))
        assert words == [
            *("cd", str(file.parent), "&&", sys.executable, "-m", "jobs.nightly", str(file)),
            *(">>", str(file.with_suffix(".log")), "2>&1"),
        ]
        assert not re.search(r"(?<!\\)%", entry), "cron ends a line at a bare %"

    def test_hours_go_over_midnight(self):
        from jobs.scheduling.kubernetes import cron_hours

        assert cron_hours(parse_schedule(SHORT | {"at": "23:05", "retry_hours": 2})) == "5 23,0,1 * * *"

    def test_what_cron_calls_is_a_command(self, file):
        """The shell runs the entry: whatever day it is, each night that is due waits for its manifest in the log."""
        file.write_text(file.read_text().replace("first_night = 2026-11-20\n", ""))
        plan = load_schedule(file)
        entry = command.crontab(plan, file).splitlines()[-1]
        line = entry.partition("* * * ")[2].replace(r"\%", "%")
        before = plan.timetable.nights_due(datetime.now(UTC), plan.catch_up_nights)
        done = subprocess.run(["/bin/sh", "-c", line], timeout=120)
        after = plan.timetable.nights_due(datetime.now(UTC), plan.catch_up_nights)
        log = file.with_suffix(".log").read_text("utf-8")

        assert done.returncode in (0, 1)
        told = re.findall(r"^night (\S+): (?:waiting|missing), ", log, re.MULTILINE)
        assert len(told) == plan.catch_up_nights
        assert told in [[night.isoformat() for night in nights] for nights in (before, after)]

    def test_next_says_five_runs_and_what_is_due(self, file, capsys):
        (file.parent / "out" / "dt=2026-11-20").mkdir(parents=True)
        (file.parent / "out" / "dt=2026-11-20" / "summary.json").write_text("{}")
        assert called("next", str(file), "--now", "2026-11-22T03:00+08:00") == 0
        *runs, due = capsys.readouterr().out.splitlines()

        assert len(runs) == 5
        assert runs[0] == "2026-11-23 02:30 CST (+08:00)  night 2026-11-22"
        assert due == "due now and not finished in out: 2026-11-21"

    def test_manifests_name_the_file_that_lacks_a_cluster(self, file):
        with pytest.raises(UsageError, match=r"^schedule .*night\.toml: the schedule lacks the table \[kubernetes\]"):
            called("kubernetes", str(file))


def test_what_the_documentation_shows_are_commands():
    from jobs import cli

    text = (Path(__file__).parents[2] / "docs" / "schedule.md").read_text("utf-8")
    blocks = "".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    shown = re.findall(r"^nightjar ([^#|>\n]+)", blocks, re.MULTILINE)

    assert len(shown) >= 5
    for words in shown:
        assert cli.parse(words.split()).command in ("nightly", "schedule")


def called(*words: str) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(words))
