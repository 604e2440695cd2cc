"""The schedule of the night: an example, a crontab entry, Kubernetes manifests, and what comes next."""

from __future__ import annotations

import argparse
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

from jobs.nightly import moment, unfinished
from jobs.scheduling.file import Schedule, load_schedule
from jobs.scheduling.kubernetes import as_yaml, cron_hours, manifests
from model_registry.errors import UsageError
from pipelines.places import redacted

EXAMPLES = """examples:
  nightjar schedule example > nightly.toml
  nightjar schedule next nightly.toml
  nightjar schedule cron nightly.toml | crontab -
  nightjar schedule kubernetes nightly.toml | kubectl apply -f -

`crontab -` replaces what is there: add the lines to a crontab that has others. docs/schedule.md says more."""
EXAMPLE = Path(__file__).parent / "scheduling" / "nightly.toml"
RUNS = 5
CRONTAB = """\
# Nightjar, as {file} says. It knows by itself which nights are due and finished, and runs none twice at a time.
# A cron that does not know CRON_TZ (Debian's, busybox's) goes by the machine's clock: let it run every hour there,
# with "0 * * * *" in place of the five fields.
{secrets}CRON_TZ={zone}
{fields} cd {folder} && {command} >> {log} 2>&1
"""
SECRETS = "# {names} must be in its environment: lines NAME=value up here, in a crontab that only its user reads.\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("example", help="print a schedule with comments")
    for name, about in (("cron", "print a crontab entry"), ("kubernetes", "print manifests"), ("next", "what comes")):
        action = actions.add_parser(name, help=about)
        action.add_argument("file", type=Path, metavar="FILE", help="the schedule, a TOML file")
    action.add_argument("--now", type=moment, metavar="T", help="the time to go by, with its offset (default: now)")


def run(args: argparse.Namespace) -> int:
    """Print what was asked for."""
    if args.action == "example":
        print(EXAMPLE.read_text("utf-8"), end="")
        return 0
    schedule = load_schedule(args.file)
    if args.action == "cron":
        print(crontab(schedule, args.file), end="")
    elif args.action == "kubernetes":
        print(_manifests(schedule, args.file), end="")
    else:
        print("\n".join(coming(schedule, args.now or datetime.now(UTC))))
    return 0


def crontab(schedule: Schedule, file: Path) -> str:
    """Return the entry, with absolute paths. What cron runs starts in the folder that this was called in."""
    names = ", ".join(schedule.variables)
    command = [sys.executable, "-m", "jobs.nightly", str(file.absolute())]
    return CRONTAB.format(
        file=_in_a_comment(file),
        secrets=SECRETS.format(names=names) if names else "",
        zone=schedule.timetable.zone.key,
        fields=cron_hours(schedule),
        folder=_in_cron([str(Path.cwd())]),
        command=_in_cron(command),
        log=_in_cron([str(file.absolute().with_suffix(".log"))]),
    )


def _in_cron(words: list[str]) -> str:
    """Quote for the shell, and % for cron, which ends the line there."""
    return shlex.join(words).replace("%", r"\%")


def _in_a_comment(file: Path) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in str(file))


def _manifests(schedule: Schedule, file: Path) -> str:
    try:
        return as_yaml(manifests(schedule, file.read_text("utf-8-sig")))
    except UsageError as error:
        raise UsageError(f"schedule {file}: {error}") from error


def coming(schedule: Schedule, now: datetime) -> list[str]:
    """Return the next runs, a line each, and which nights are due now."""
    runs = schedule.timetable.next_runs(now, RUNS)
    lines = [f"{due:%Y-%m-%d %H:%M} {due:%Z} ({due.isoformat()[-6:]})  night {night}" for due, night in runs]
    due = ", ".join(map(str, unfinished(schedule, now))) or "none"
    return [*lines, f"due now and not finished in {redacted(schedule.output)}: {due}"]


if __name__ == "__main__":
    from jobs.cli import main

    main(["schedule", *sys.argv[1:]])
