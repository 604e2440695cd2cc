"""Runs on Ray: a full disk and a folder that a node cannot see are said in one sentence; hashing is kept on the way."""

from __future__ import annotations

import errno
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import run
from pipelines.decode.limits import Limits
from pipelines.rows import CONTENTS, SOURCES
from pipelines.run import hash_contents, look, refuse_unshared, unsettled
from pipelines.stage import PipelineError
from tests.fakes import FullDisk

pytestmark = pytest.mark.usefixtures("ray_cluster")
SOURCE = pa.table({"content_sha256": ["a"], "uri": ["/a"], "bytes": [1]}, schema=SOURCES)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_what_to_do(code):
    with pytest.raises(PipelineError, match=r"\(fulldisk\) failed: .+; free some space and run the same command again"):
        look([FullDisk(cpus=0.1, code=code)], SOURCE, 1, lambda receipts: None)


def test_another_error_of_the_disk_has_no_such_advice():
    with pytest.raises(PipelineError, match=r"failed: Input/output error$"):
        look([FullDisk(cpus=0.1, code=errno.EIO)], SOURCE, 1, lambda receipts: None)


@pytest.fixture
def two_nodes(monkeypatch):
    import ray

    (node,) = ray.nodes()
    monkeypatch.setattr(ray, "nodes", lambda: [node, {**node, "NodeManagerHostname": "other"}])


def test_a_folder_that_every_node_sees_is_taken(two_nodes, tmp_path):
    refuse_unshared(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_node_does_not_see_is_refused(two_nodes, tmp_path, monkeypatch):
    monkeypatch.setattr(run.os.path, "exists", lambda path: False)
    with pytest.raises(PipelineError, match=r"is not shared: .+, other cannot see it; give a shared folder or a URI"):
        refuse_unshared(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_content_is_looked_at_once_and_in_another_turn_elsewhere():
    rows = [("v1", "/1", "a"), ("v2", "/2", "b"), ("v3", "/3", "a"), ("v4", "/1", "a"), ("v5", "/5", None)]
    contents = pa.Table.from_pylist(
        [{"video_id": v, "uri": uri, "content_sha256": sha, "bytes": 1} for v, uri, sha in rows], CONTENTS
    )

    def todo(settled, turn):
        return [(row["content_sha256"], row["uri"]) for row in unsettled(contents, settled, turn).to_pylist()]

    assert todo(set(), 0) == [("a", "/1"), ("b", "/2")]
    assert todo(set(), 1) == [("a", "/3")]
    assert todo(set(), 2) == todo({"a"}, 1) == []
    assert todo({"a"}, 0) == [("b", "/2")]


def test_what_was_hashed_before_a_kill_is_kept(tmp_path, monkeypatch):
    """Every finished batch is saved here; the driver dies after the first."""
    monkeypatch.setattr(run, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(run, "HASH_ROWS", 1)
    for name in "abc":
        (tmp_path / name).write_text(name)
    manifest = pa.table({"video_id": list("abc"), "uri": [str(tmp_path / name) for name in "abc"]})
    known, told = tmp_path / "features" / "contents.parquet", []

    def die(table):
        told.append(table.num_rows)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hash_contents(manifest, known, Limits(), die)
    assert pq.read_table(known).num_rows == 1
    hash_contents(manifest, known, Limits(), lambda table: told.append(table.num_rows))
    assert told[3:] == [1, 1, 1]
    assert sorted(pq.read_table(known)["video_id"].to_pylist()) == list("abc")
    assert os.listdir(known.parent) == [known.name]
