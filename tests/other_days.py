"""Run the tests that know of dates as if it were another day: `python -m tests.other_days [WHEN ...] [-- FILE ...]`.

Needs Debian's `faketime`. Every process that a test starts sees the same moved clock, which goes on as the real one
does. The monotonic clock is left alone: with it moved, every wait with a timeout lasts for years. Python 3.11 sleeps
until a moment of the monotonic clock, which faketime 0.9.10 misreads, so that `time.sleep` waits in another way here.
Left out are tests that start Ray, a browser or TLS: their other programs do not run under faketime.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).parents[1]
LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
SLEEP = "import select, time\ntime.sleep = lambda seconds: select.select((), (), (), seconds) and None\n"
MOMENTS = (
    "2028-02-29T12:00 UTC",
    "2026-12-31T23:59 UTC",
    "2027-03-28T01:59 Europe/Berlin",  # a minute later it is 03:00
    "2027-10-31T02:59 Europe/Berlin",  # a minute later it is 02:00 again
    "2038-01-20T12:00 UTC",  # seconds since 1970 no longer fit 31 bits
    "now UTC",
)
FILES = [
    "tests/benchmarks/test_history.py",
    "tests/benchmarks/test_reports.py",
    "tests/jobs/test_bank_command.py",
    "tests/jobs/test_keys.py",
    "tests/jobs/test_metrics.py",
    "tests/jobs/test_nightly_command.py",
    "tests/jobs/test_prune.py",
    "tests/jobs/test_prune_command.py",
    "tests/jobs/test_report.py",
    "tests/jobs/test_report_claims.py",
    "tests/jobs/test_schedule.py",
    "tests/jobs/test_status.py",
    "tests/jobs/test_table.py",
    "tests/jobs/test_watch.py",
    "tests/jobs/test_webhook.py",
    "tests/pipelines/copyright/test_bank.py",
    "tests/pipelines/copyright/test_claimed.py",
    "tests/pipelines/copyright/test_matched.py",
    "tests/pipelines/copyright/test_online.py",
    "tests/pipelines/copyright/test_reference.py",
    "tests/pipelines/risk",
    "tests/pipelines/serving/api/test_key_file.py",
    "tests/pipelines/serving/test_trial_log.py",
    "tests/pipelines/serving/test_videos.py",
    "tests/pipelines/serving/test_webhooks.py",
    "tests/pipelines/test_attempts.py",
    "tests/pipelines/test_lock.py",
    "tests/pipelines/test_manifest.py",
    "tests/pipelines/test_manifest_folders.py",
    "tests/pipelines/test_storage.py",
]


def main(words: list[str]) -> int:
    """Return 0 where every file passed at every moment."""
    moments, files = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, FILES)
    failed = [when for when in moments or MOMENTS if not passes(when, files)]
    say(f"failed at: {', '.join(failed)}" if failed else "passed at every moment")
    return bool(failed)


def passes(when: str, files: list[str]) -> bool:
    """Run pytest at a moment such as `2028-02-29T12:00 UTC`."""
    say(f"== {when}")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(SLEEP)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not browser", *files]
        command += ["--deselect", "tests/jobs/test_metrics.py::test_ray_shows_them_where_prometheus_scrapes"]
        return subprocess.run(command, cwd=ROOT, env=environment(when, folder)).returncode == 0


def say(line: str) -> None:
    """One line, before what comes next."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def environment(when: str, folder: str) -> Mapping[str, str]:
    """The variables under which a process believes that it is then."""
    moment, zone = when.split()
    path = os.pathsep.join(filter(None, [folder, str(ROOT), os.environ.get("PYTHONPATH")]))
    named = {**os.environ, "TZ": zone, "PYTHONPATH": path}
    if moment == "now":
        return named
    if not LIBRARIES:
        raise SystemExit("libfaketime is not installed, wanted Debian's package faketime")
    ahead_s = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)).timestamp() - time.time()
    faked = {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME": f"{ahead_s:+.0f}s", "FAKETIME_DISABLE_SHM": "1"}
    return named | faked | {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
