"""Nights on a terminal: a table, and the details of the newest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jobs.table import printable
from jobs.watching.logs import FOLDER as LOGS
from jobs.watching.nights import Standing, State, span
from model_registry.errors import NightjarError
from pipelines.attempts import Attempts, OpenWindow
from pipelines.places import exists, listed, read_bytes, read_table, redacted

COLOURS = {
    State.WAITING: "dim",
    State.RUNNING: "cyan",
    State.DONE: "green",
    State.STALLED: "bold red",
    State.INTERRUPTED: "yellow",
    State.FAILED: "bold red",
}
SUGGESTIONS = ("block", "review", "pass")
COLUMNS = ("night", "state", "step", "done", "rate", "left", *SUGGESTIONS, "errors", "heard of")
JUSTIFY: dict[str, Literal["left"]] = {"night": "left", "state": "left", "step": "left", "errors": "left"}
BAR = 30  # characters of a stage that does all the work
SMALL = 0.01  # shares of stages below are one
MOST = 8  # of a list that may be long
LAST_LINES = 6
TAIL_BYTES = 64 << 10
USUAL = {"time", "level", "event", "run"}


def shown(nights: Sequence[Standing]) -> Group:
    """Lay out the table, and the details of the newest night if it is the only one or not well over."""
    newest = nights[-1]
    details = _details(newest) if len(nights) == 1 or newest.state is not State.DONE else ()
    return Group(_table(nights), *details)


def _table(nights: Sequence[Standing]) -> Table:
    """One row a night; columns that no night has anything for are left out."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    rows = [_cells(night) for night in nights]
    columns = [(title, cells) for title, *cells in zip(COLUMNS, *rows, strict=True) if any(map(str, cells))]
    for title, _ in columns:
        table.add_column(title, overflow="fold", no_wrap=title != "errors", justify=JUSTIFY.get(title, "right"))
    for cells in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*cells)
    return table


def _cells(night: Standing) -> list[Text]:
    over, told = night.state is State.DONE, night.progress
    counts = night.summary.get("counts", {}) if over else {}
    cells = [
        *(("", "") if over else (told.get("step") or "", _done(told))),
        *(_speed(told) if night.state is State.RUNNING else ("", "")),
        *(str(counts.get(name, "")) for name in SUGGESTIONS),
        _tally(_errors(night)),
        f"{span(_age_s(told['updated_at']))} ago" if told else "",
    ]
    return [_text(night.night), Text(str(night.state), COLOURS[night.state]), *map(_text, cells)]


def _done(told: Mapping[str, Any]) -> str:
    return f"{told['done']} of {told['total']}" if told.get("total") else ""


def _speed(told: Mapping[str, Any]) -> tuple[str, str]:
    rate, eta_s = told.get("rate"), told.get("eta_s")
    return f"{rate:.2f}/s" if rate else "", span(eta_s) if eta_s else ""


def _errors(night: Standing) -> Mapping[str, int]:
    """By reason: of the whole night once it is judged, of this run before."""
    judged = night.summary.get("counts", {}).get("errors") if night.state is State.DONE else None
    found: Mapping[str, int] = judged if judged is not None else night.progress.get("errors", {})
    return found


def _tally(errors: Mapping[str, int]) -> str:
    named = [f"{code} {count}" for code, count in errors.items()]
    return ", ".join(named[:3]) + (f", {len(named) - 3} more" if len(named) > 3 else "")


def _details(night: Standing) -> Iterator[RenderableType]:
    if night.why:
        yield Text(f"\n{night.night} {night.state}: {printable(night.why)}", COLOURS[night.state])
    if night.progress:
        yield _text(f"\n{_sentence(night.progress)}")
    yield from _bars(night.progress.get("busy_share") or _shares(night.summary.get("busy_s", {})))
    yield from _listing("errors", [f"{code}: {count}" for code, count in _errors(night).items()])
    yield from _dead_letters(night)
    if not night.state.is_over or night.state.wants_help:
        yield from _listing("in hand", [_window(window) for window in _open_windows(night)])
    yield from _listing("last lines of the log", _last_lines(night))


def _sentence(told: Mapping[str, Any]) -> str:
    parts = [f"{told['job']} {told['run']}", f"process {told['pid']} on {told['host']}", f"since {told['started_at']}"]
    parts += [f"{told['videos']} videos, {told['hours']:.2f} hours, {told['frames']} frames looked at"]
    parts += [f"{told['rss_bytes'] / 1e6:.0f} MB in the driver"]
    if told["queue"]:
        age = f", the oldest uploaded {span(told['queue_age_s'])} ago" if told["queue_age_s"] else ""
        parts.append(f"{told['queue']} uploads waited{age}")
    return "; ".join(parts)


def _shares(busy_s: Mapping[str, float]) -> dict[str, float]:
    total = sum(busy_s.values())
    return {stage: seconds / total for stage, seconds in busy_s.items()} if total else {}


def _bars(shares: Mapping[str, float]) -> Iterator[RenderableType]:
    if not shares:
        return
    table = Table(box=None, show_header=False, pad_edge=False, title="\nbusy", title_justify="left", title_style="bold")
    large = {stage: share for stage, share in shares.items() if share >= SMALL}
    rest = sum(shares.values()) - sum(large.values())
    for stage, share in [*large.items(), *([("others", rest)] if rest > SMALL / 2 else [])]:
        table.add_row(_text(stage), Text(f"{share:4.0%}"), Text("█" * max(1, round(share * BAR)), "cyan"))
    yield table


def _listing(title: str, lines: Sequence[str]) -> Iterator[Text]:
    if lines:
        yield Text(f"\n{title}", "bold")
        yield from map(_text, lines)


def _dead_letters(night: Standing) -> Iterator[Text]:
    """Show the first videos that were given up."""
    path = night.folder / "failed.parquet"
    try:
        failed = read_table(path, ["video_id", "error_code", "error_message", "attempts"])
    except FileNotFoundError:
        return
    except (OSError, NightjarError, pa.ArrowException) as error:
        yield from _listing("given up", [f"failed.parquet cannot be read: {error}"])
        return
    rows = failed.slice(0, MOST).to_pylist()
    lines = [f"{row['video_id']}  {row['error_code']}: {row['error_message']}{_tries(row['attempts'])}" for row in rows]
    more = [f"… and {failed.num_rows - MOST} more in {path}"] if failed.num_rows > MOST else []
    yield from _listing(f"given up: {failed.num_rows}", [*lines, *more])


def _tries(attempts: int | None) -> str:
    return f" ({attempts} attempts)" if (attempts or 0) > 1 else ""


def _open_windows(night: Standing) -> list[OpenWindow]:
    """What workers have in hand: the journals of all bundles."""
    journals = listed(night.folder / "features", "*/*/attempts")
    return [window for journal in journals for window in Attempts(journal).open_windows()][:MOST]


def _window(window: OpenWindow) -> str:
    held = span(max(datetime.now(UTC).timestamp() - window.since, 0))
    return f"{window.content_sha256[:16]} window {window.window_index} on {window.host} for {held}"


def _last_lines(night: Standing) -> list[str]:
    """The end of the newest log."""
    log = night.folder / LOGS / f"{night.progress.get('run')}.jsonl"
    if not exists(log):
        return []
    if isinstance(log, Path):
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - TAIL_BYTES, 0))
            content = file.read()
    else:
        content = read_bytes(log)[-TAIL_BYTES:]
    return [_line(line) for line in content.splitlines()[-LAST_LINES:]]


def _line(line: bytes) -> str:
    try:
        told = json.loads(line)
        fields = " ".join(f"{name}={value}" for name, value in told.items() if name not in USUAL)
        return f"{told['time'][11:19]} {told['level']} {told['event']} {fields}"[:400]
    except (ValueError, TypeError, KeyError):
        return line.decode("utf-8", "replace")  # torn by a kill


def _age_s(moment: str) -> float:
    return max((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds(), 0)


def _text(line: str) -> Text:
    """No markup, no credentials, and no control characters of hostile names."""
    return Text("\n".join(printable(part) for part in redacted(line).split("\n")))
