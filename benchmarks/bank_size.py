"""A bank of 1,000,000 reference seconds: what it costs to look through it, and how soon a change is in the next match.

The bank is synthetic and written through its own tables; a tenth of it is made first, so that what grows with the bank
shows. Each command is a process of its own, whose peak is its largest resident set (getrusage(2)). Matching a single
upload is the service's way, an index in memory that is refreshed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.copy_search import DIMENSIONS
from benchmarks.result import Result
from jobs import progress
from model_registry.errors import NightjarError
from pipelines.copyright.bank.bank import Bank
from pipelines.copyright.bank.reference import Kind, Reference, State
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.online import OnlineBank
from pipelines.copyright.picture.space import Space
from pipelines.copyright.sound.landmarks import Peaks

REFERENCES, SECONDS = 2_000, 500
A_SECOND, PEAKS_A_SECOND = 2, 25
TOGETHER = 32  # references a commit
UPLOAD_S = 60
TEN_MINUTES_S = 600
LAUNCH = (
    "import resource, subprocess, sys\n"
    "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)
COMMANDS = {
    "list": ["list", "--json"],
    "stats": ["stats", "--json"],
    "export": ["export", "{out}.csv"],
    "fingerprints": ["export", "{out}.parquet", "--fingerprints", "{out}-prints.parquet"],
}
NOTES = (
    "`*_share_of_bank` is by how much more memory the command takes for the whole bank than for a tenth of it, against "
    "by how much larger the bank is.",
    "`change_of_ten_minutes` is the slower of adding and of disabling a reference, each until a match by the refreshed "
    "index has shown it, against ten minutes; a match that shows the old state fails the benchmark.",
)


def run(videos: Sequence[Path], repeat: int) -> Result:  # noqa: ARG001 - fingerprints are made, not decoded
    """Measure the commands on a tenth and on the whole, then change the whole."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(scratch) / "bank", Path(scratch) / "out"
        fill(folder, 0, REFERENCES // 10)
        few_mb, few = _bytes(folder) / 1e6, _peaks(folder, out, repeat)
        fill(folder, REFERENCES // 10, REFERENCES)
        many_mb, many = _bytes(folder) / 1e6, _peaks(folder, out, repeat)
        metrics = {
            f"{name}_share_of_bank": [(large - small) / (many_mb - few_mb) for small, large in zip(*pair, strict=True)]
            for name, pair in ((name, (few[name], many[name])) for name in COMMANDS)
        }
        metrics |= {f"{name}_peak_mb": many[name] for name in COMMANDS}
        metrics |= _changes(folder, repeat) | {"bank_mb": [many_mb]}
    setup = {"references": REFERENCES, "seconds": SECONDS, "dimensions": DIMENSIONS, "cores": os.cpu_count()}
    return Result(metrics, setup, NOTES)


def fill(folder: Path, first: int, end: int) -> None:
    """Add references of random unit descriptors, a commit for each few of them."""
    wide = DIMENSIONS
    plain = Space("synthetic@1", np.zeros(wide, np.float32), np.eye(wide, dtype=np.float32), np.zeros((0, wide), "f4"))
    bank = Bank.create(folder, plain)
    with progress.bar("making the bank", end - first) as bar:
        for begin in range(first, end, TOGETHER):
            some = range(begin, min(begin + TOGETHER, end))
            bank.add_all([(reference(number), fingerprint(number)) for number in some])
            bar.advance(len(some))


def reference(number: int) -> Reference:
    """One work; only a new one is looked for."""
    return Reference(
        id=f"r{number:06}",
        content_sha256=f"{number:064x}",
        title=f"Title {number}",
        kind=[Kind.FILM, Kind.SHOW, Kind.MUSIC][number % 3],
        duration_ms=1000 * SECONDS,
        uri=f"/films/r{number}.mp4",
    )


def fingerprint(number: int) -> Fingerprint:
    """Picture and sound of nobody, the same for the same number."""
    generator = np.random.default_rng(number)
    rows, peaks = SECONDS * A_SECOND, SECONDS * PEAKS_A_SECOND
    vectors_ND = generator.standard_normal((rows, DIMENSIONS), dtype=np.float32)
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    heard_ms = np.sort(generator.integers(0, 1000 * SECONDS, peaks)).astype(np.int32)
    return Fingerprint(
        duration_ms=1000 * SECONDS,
        frame_ms=np.repeat(np.arange(SECONDS, dtype=np.int64) * 1000, A_SECOND),
        view=np.tile(np.arange(A_SECOND, dtype=np.uint8), SECONDS),
        descriptors_ND=vectors_ND.astype(np.float16),
        pdq_NB=generator.integers(0, 256, (rows, 32), dtype=np.uint8),
        pdq_quality=np.full(rows, 100, np.uint8),
        peaks=Peaks(heard_ms, generator.integers(0, 12_000, peaks, dtype=np.uint16)),
    )


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _peaks(folder: Path, out: Path, repeat: int) -> dict[str, list[float]]:
    """The peak of every command, in megabytes."""
    found: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeat):
        for name, words in COMMANDS.items():
            found[name].append(_peak_mb([word.format(out=out) for word in words], folder))
    return found


def _peak_mb(words: Sequence[str], folder: Path) -> float:
    """Run a command below a small process: a child begins with the peak of the process that it was forked from."""
    command = [sys.executable, "-c", LAUNCH, sys.executable, "-m", "jobs.bank", *words, "--bank", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NightjarError(f"nightjar bank {words[0]} failed: {' '.join(done.stderr.split())[-300:]}")
    return int(done.stdout) * 1024 / 1e6


def _changes(folder: Path, repeat: int) -> dict[str, list[float]]:
    """Add and disable beside an open index; what each takes until a match shows it."""
    bank = Bank.open(folder)
    open_s, online = _timed(lambda: OnlineBank.open(folder, os.cpu_count() or 1))
    added, disabled = [], []
    for number in range(REFERENCES, REFERENCES + repeat):
        new, print_ = reference(number), fingerprint(number)
        seconds, online = _timed(_change(online, lambda n=new, p=print_: bank.add(n, p), print_, new.id, there=True))  # type: ignore[misc]
        added.append(seconds)
        hide = _change(online, lambda n=new: bank.set_state([n.id], State.DISABLED), print_, new.id, there=False)  # type: ignore[misc]
        seconds, online = _timed(hide)
        disabled.append(seconds)
    slower = [max(pair) for pair in zip(added, disabled, strict=True)]
    return {
        "change_of_ten_minutes": [seconds / TEN_MINUTES_S for seconds in slower],
        "change_vs_opening": [seconds / open_s for seconds in slower],
        "opening_of_ten_minutes": [open_s / TEN_MINUTES_S],
        "add_to_match_s": added,
        "disable_to_match_s": disabled,
        "open_s": [open_s],
    }


def _change(
    online: OnlineBank, change: Callable[[], object], print_: Fingerprint, name: str, *, there: bool
) -> Callable[[], OnlineBank]:
    """Change, refresh, match; raises NightjarError where the match does not show the change."""

    def work() -> OnlineBank:
        change()
        newest = online.refreshed()
        rows = newest.match_print("upload", _minute(print_)).table(["reference_id"])
        if (name in rows["reference_id"].to_pylist()) != there:
            raise NightjarError(f"{name} {'is not' if there else 'is'} in the match after the change")
        return newest

    return work


def _minute(whole: Fingerprint) -> Fingerprint:
    """Its first minute, as an upload."""
    rows = slice(0, UPLOAD_S * A_SECOND)
    names = ("frame_ms", "view", "descriptors_ND", "pdq_NB", "pdq_quality")
    parts: dict[str, Any] = {name: getattr(whole, name)[rows] for name in names}
    return replace(whole, duration_ms=1000 * UPLOAD_S, peaks=whole.peaks.between(0, 1000 * UPLOAD_S), **parts)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
