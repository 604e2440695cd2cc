"""What a person sees while a job runs: a bar on a terminal, a line now and then elsewhere, always on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(stderr=True)
LINE_EVERY_S = 10.0
listeners: list[Callable[[str], None]] = []  # a run's log hears what the person is told


class Bar:
    """One step of a job with a known number of things to do."""

    def __init__(self, progress: Progress, task: TaskID, title: str, total: int) -> None:
        self.progress, self.task, self.title, self.total = progress, task, title, total
        self.done = 0
        self.began = self.spoke = time.monotonic()

    def advance(self, count: int, note: str = "") -> None:
        """Say that `count` more are done."""
        self.done += count
        self.progress.update(self.task, completed=self.done, note=note)
        if not console.is_terminal and time.monotonic() - self.spoke >= LINE_EVERY_S:
            self.spoke = time.monotonic()
            rate = self.done / (self.spoke - self.began)
            console.print(f"{self.title}: {self.done} of {self.total}, {rate:.2f} a second {note}", markup=False)


@contextmanager
def bar(title: str, total: int) -> Iterator[Bar]:
    """Show progress until the block is left."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    quiet = not console.is_terminal or not total  # of a step of no known length a bar says nothing
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        task = progress.add_task(title, total=total, note="")
        yield Bar(progress, task, title, total)


def say(message: str) -> None:
    """One line for the person, without markup, and for whoever else listens."""
    for listener in listeners:
        listener(message)
    console.print(message, markup=False, highlight=False, soft_wrap=True)
