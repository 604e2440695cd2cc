"""Whatever is killed, the night comes out as undisturbed: decoders, models, tasks, a whole node, the driver.

NIGHTJAR_CHAOS=1 runs them; NIGHTJAR_CHAOS=60 adds the long form: three nights of sixty videos, real ones where there
are some.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.chaos import Fought, add_to_bank, driver_environment, recall, undisturbed, write_manifest
from benchmarks.nights.cluster import Cluster
from benchmarks.nights.compare import TABLES, differences, largest_gap, work_in
from benchmarks.nights.killer import Kind
from tests.chaos import made_uploads, uploads

ASKED = "NIGHTJAR_CHAOS" in os.environ
pytestmark = [
    pytest.mark.usefixtures("lite"),
    pytest.mark.skipif(not ASKED, reason="nights under fire take seven minutes; needs NIGHTJAR_CHAOS=1, or 60 for all"),
]
VIDEOS = 14
SHORT = (Kind.MODEL, Kind.DECODER, Kind.TASK, Kind.NODE, Kind.DRIVER)
LONG = int(os.environ.get("NIGHTJAR_CHAOS", "0"))  # videos of the long form; 0 or 1: none


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three nodes: a head that has the driver, and two that may be lost."""
    with Cluster({}, worker_cpus=(2, 2)) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("uploads")
    return write_manifest(made_uploads(folder / "videos", VIDEOS), folder / "manifest.parquet")


@pytest.fixture(scope="module")
def night(cluster, manifest, tmp_path_factory) -> Fought:
    """The undisturbed one."""
    return undisturbed(cluster, manifest, tmp_path_factory.mktemp("undisturbed") / "night")


def rows_of(night: Fought, table: str) -> list[dict]:
    return pq.read_table(night.folder / f"{table}.parquet").to_pylist()


def settled_ids(night: Fought) -> list[str]:
    return [row["video_id"] for row in rows_of(night, "verdicts") if row["complete"]]


def test_the_undisturbed_night_has_something_to_lose(night):
    """Several windows of one content, signals that words gave, and nothing done twice."""
    assert len(settled_ids(night)) == VIDEOS
    assert night.work.windows == VIDEOS + 2
    assert night.work.redone_windows == 0
    assert {row["form"] for row in rows_of(night, "signals")} >= {"Image", "Text"}


def test_a_night_under_fire_comes_out_as_undisturbed(cluster, manifest, night, tmp_path):
    """Each kind is killed once; where a night ends before its last victim is found, another follows."""
    missing, nights = set(Kind), []
    while missing and len(nights) < 3:
        seed = 7 + len(nights)
        nights.append(fought := Fought.night(cluster, manifest, tmp_path / f"night-{seed}", seed, SHORT))
        missing -= {kill.kind for kill in fought.account.kills}
        assert differences(fought.folder, night.folder) == []
        assert fought.account.starts == 1 + fought.account.count(Kind.DRIVER)
        assert fought.looked_at <= VIDEOS, str(fought)
        assert fought.redone_a_piece <= 1, str(fought)
    assert not missing


@pytest.mark.skipif(LONG < 2, reason="the long form needs NIGHTJAR_CHAOS=60")
@pytest.mark.timeout(3600)
def test_many_nights_under_fire(cluster, tmp_path):
    """At least twenty kills of all kinds, with a bank, speech and captions."""
    videos = uploads(tmp_path / "videos", LONG)
    manifest = write_manifest(videos, tmp_path / "manifest.parquet")
    add_to_bank(cluster, videos[-4:], tmp_path / "bank")
    options = ("--bank", str(tmp_path / "bank"))
    reference = undisturbed(cluster, manifest, tmp_path / "undisturbed", *options)
    kinds = (*SHORT, Kind.MODEL, Kind.DECODER, Kind.DRIVER)
    nights = [Fought.night(cluster, manifest, tmp_path / f"night-{n}", n, kinds, *options) for n in range(3)]

    sys.stdout.write("\n".join(map(str, (reference, *nights))))
    assert [differences(fought.folder, reference.folder) for fought in nights] == [[], [], []]
    assert rows_of(reference, "matches")
    assert sum(len(fought.account.kills) for fought in nights) >= 20
    assert all(fought.redone_a_piece <= 1 and fought.looked_at <= LONG for fought in nights)


# The second of two runs of one night.


def test_a_second_run_of_the_same_night_refuses(cluster, manifest, tmp_path):
    pytest.importorskip("pipelines.lock", reason="nothing locks a night yet")
    command, environment = recall(manifest, tmp_path), driver_environment(cluster)
    with (tmp_path / "first.log").open("wb") as log:
        first = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.rglob("contents.parquet")) and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert first.poll() is None
        assert second.returncode == 1
        assert second.stderr.count("\n") == 1
        assert str(first.pid) in second.stderr
        assert first.wait(300) == 0
    finally:
        first.kill()
        first.wait()


# The harness itself: it can see a difference, and work that was done twice.


@pytest.mark.parametrize("table", TABLES)
def test_one_row_less_is_a_difference(night, tmp_path, table):
    copy = shutil.copytree(night.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("features", "evidence"))
    path = copy / f"{table}.parquet"
    rows = pq.read_table(path)
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 1)]) if rows.num_rows else one_null_row(rows.schema), path)

    (difference,) = differences(copy, night.folder)

    assert difference.startswith(f"{table}: {max(1, rows.num_rows + 1)} rows, wanted {rows.num_rows};")


def one_null_row(schema: pa.Schema) -> pa.Table:
    return pa.table({field.name: pa.nulls(1, field.type) for field in schema})


@pytest.mark.parametrize(("by", "unequal"), [(1e-3, ["verdicts"]), (1e-8, [])])
def test_another_score_is_a_difference_and_another_rounding_is_none(night, tmp_path, by, unequal):
    copy = shutil.copytree(night.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("features", "evidence"))
    verdicts = pq.read_table(copy / "verdicts.parquet")
    index = verdicts.column_names.index("priority")
    changed = pa.array([value + by for value in verdicts["priority"].to_pylist()], verdicts.schema.field(index).type)
    pq.write_table(verdicts.set_column(index, "priority", changed), copy / "verdicts.parquet")

    assert [line.partition(":")[0] for line in differences(copy, night.folder)] == unequal
    assert largest_gap(copy, night.folder) == pytest.approx(by, rel=0.05)


def test_another_decision_is_a_difference(night, tmp_path):
    copy = shutil.copytree(night.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("features", "evidence"))
    verdicts = pq.read_table(copy / "verdicts.parquet")
    index = verdicts.column_names.index("suggestion")
    changed = pa.array(["block", *verdicts["suggestion"].to_pylist()[1:]])
    pq.write_table(verdicts.set_column(index, "suggestion", changed), copy / "verdicts.parquet")

    (difference,) = differences(copy, night.folder)
    assert "row 0 differs" in difference


def test_work_done_twice_is_counted(night, tmp_path):
    features = shutil.copytree(night.folder / "features", tmp_path / "features")
    (long,) = [path for path in features.rglob("windows-*.parquet") if pq.read_table(path).num_rows >= 1][:1]
    shutil.copyfile(long, long.with_name("windows-99999999999999999999-00000000.parquet"))

    work = work_in(features)

    assert work.redone_windows == pq.read_table(long).num_rows
    assert (work.windows, work.contents) == (night.work.windows, night.work.contents)
