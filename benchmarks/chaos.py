"""Chaos: nights of sixty videos on three Ray nodes, killed at random, each held against an undisturbed one.

Killed are decode children, model actors, task workers, whole nodes (fresh ones join seconds later) and the driver
(the same command is run again), with SIGKILL and by a seed. Every table has to come out row for row as undisturbed,
scores to the sixth digit: a window that is done again is in another batch.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.nights.cluster import Cluster
from benchmarks.nights.compare import Work, differences, largest_gap, work_in
from benchmarks.nights.killer import Account, Kind, UnderFire
from benchmarks.registry import Result
from benchmarks.videos import many
from jobs import progress
from model_registry.errors import NightjarError
from pipelines.decode.limits import Limits
from pipelines.decode.probe import probe
from pipelines.decode.sniff import format_of

VIDEOS = 60
KINDS = (*(Kind.MODEL, Kind.DECODER, Kind.TASK, Kind.DRIVER) * 2, Kind.NODE)
DATE = "2026-11-21"
LIMIT_SECONDS = 1200.0
TITLES = ("", "today at the lake", "free bets, double your money tonight", "加微信領取內部消息")


def run(videos: Sequence[Path], repeat: int) -> Result:
    """One undisturbed night, then `repeat` under fire."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        manifest = write_manifest(shortest(videos, VIDEOS, folder / "videos"), folder / "manifest.parquet")
        with Cluster({}, worker_cpus=(2, 2)) as cluster:
            reference = undisturbed(cluster, manifest, folder / "undisturbed")
            nights = [Fought.night(cluster, manifest, folder / f"night-{seed}", seed) for seed in range(repeat)]
        wrong = [line for night in nights for line in differences(night.folder, reference.folder)]
        for line in wrong:
            progress.say(line)
        gaps = [largest_gap(night.folder, reference.folder) for night in nights]
        return _result(nights, reference, len(wrong), gaps, len(videos))


def _result(nights: Sequence[Fought], reference: Fought, wrong: int, gaps: Sequence[float], distinct: int) -> Result:
    kills = [kill for night in nights for kill in night.account.kills]
    metrics: dict[str, Sequence[float]] = {
        "unequal_tables": [wrong],
        "largest_gap": gaps,
        "kills": [len(kills)],
        "redone_windows_a_piece_in_flight": [night.redone_a_piece for night in nights],
        "seconds_vs_undisturbed": [night.account.seconds / reference.account.seconds for night in nights],
        "redone_windows": [night.work.redone_windows for night in nights],
        "finished_a_content": [night.looked_at / night.work.contents for night in nights],
    }
    metrics |= {f"kills_{kind.name.lower()}": [sum(kill.kind is kind for kill in kills)] for kind in Kind}
    notes = [str(night) for night in nights]
    return Result(metrics, {"videos": VIDEOS, "distinct": distinct, "bundle": "lite", "nodes": "1 + 2 + 2 CPUs"}, notes)


@dataclass(frozen=True)
class Fought:
    """A night that came to its end, and what it took."""

    folder: Path
    account: Account
    work: Work
    looked_at_last: int  # contents, by the driver that lived

    @classmethod
    def night(
        cls, cluster: Cluster, manifest: Path, output: Path, seed: int, kinds: Sequence[Kind] = KINDS, *options: str
    ) -> Fought:
        """Run the real command while kinds, shuffled by the seed, are killed."""
        folder = output / f"dt={DATE}"
        order = random.Random(seed).sample(list(kinds), len(kinds))
        output.mkdir(parents=True)
        contents, command = pq.read_metadata(manifest).num_rows, recall(manifest, output, *options)
        fire = UnderFire(cluster, command, order, seed, contents, lambda: work_in(folder).contents)
        account = fire.run(driver_environment(cluster), output / "said.log", LIMIT_SECONDS)
        summary = json.loads((folder / "summary.json").read_text("utf-8"))
        return cls(folder, account, work_in(folder), summary["counts"]["contents_looked_at"])

    @property
    def looked_at(self) -> int:
        """Contents that all drivers together finished; more than there are, and finished ones were done again."""
        killed = [kill.settled for kill in self.account.kills if kill.kind is Kind.DRIVER]
        return max(killed, default=0) + self.looked_at_last

    @property
    def redone_a_piece(self) -> float:
        """Windows committed twice, for each piece that was in flight when something was killed."""
        return self.work.redone_windows / max(1, sum(kill.pieces_in_flight for kill in self.account.kills))

    def __str__(self) -> str:
        kills = "; ".join(map(str, self.account.kills))
        work = f"{self.work.windows} windows of {self.work.contents} contents in {self.work.pieces} pieces"
        twice = f"{self.looked_at} finished by all drivers, {self.work.redone_windows} windows committed twice"
        return f"{self.account.starts} drivers in {self.account.seconds:.0f} s, {work}, {twice}; killed: {kills}"


def undisturbed(cluster: Cluster, manifest: Path, output: Path, *options: str) -> Fought:
    """Run the night on the same cluster, and leave it in peace."""
    return Fought.night(cluster, manifest, output, 0, (), *options)


def recall(manifest: Path, output: Path, *options: str) -> list[str]:
    """Return the command that a scheduler would run."""
    own = ["--date", DATE, "--input", str(manifest), "--output", str(output)]
    return [sys.executable, "-m", "jobs.recall", *own, *options]


def driver_environment(cluster: Cluster) -> Mapping[str, str]:
    """Return what a driver needs to run on the cluster."""
    return {**os.environ, **cluster.environment, "RAY_ADDRESS": cluster.address}


def add_to_bank(cluster: Cluster, references: Sequence[Path], bank: Path) -> None:
    """Fingerprint references, so that a night has something to match."""
    command = [sys.executable, "-m", "jobs.bank", "add", *map(str, references), "--bank", str(bank)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=driver_environment(cluster))
    if done.returncode:
        raise NightjarError(f"the bank could not be filled: {done.stderr[-500:]}")


def shortest(videos: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """Return the shortest videos, and where there are too few copies with other bytes of them; files of one folder."""
    chosen = sorted(videos, key=lambda path: (_duration_ms(path), path))[:count]
    folder.mkdir(parents=True)
    made = [Path(shutil.copyfile(path, folder / f"real-{index:03d}{path.suffix}")) for index, path in enumerate(chosen)]
    return made + (many(chosen, count - len(made), folder) if len(made) < count else [])


def _duration_ms(path: Path) -> int:
    return probe(path, format_of(path, Limits()), Limits()).duration_ms


def write_manifest(videos: Sequence[Path], path: Path) -> Path:
    """Write one row a video; some say something that words are looked for in."""
    rows = [
        {"video_id": f"v{index:03d}", "uri": str(video), "title": TITLES[index % len(TITLES)], "uploader_id": "u"}
        for index, video in enumerate(videos)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path
