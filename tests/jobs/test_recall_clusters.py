"""`recall --clusters` over small films: a repost is found, named in the verdict and folded; two other films are not."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.jobs.test_copyright_jobs import film, lamps, mirrored, mosaic, nightjar, writing

pytestmark = pytest.mark.usefixtures("lite")
UPLOADS = [
    ("first", mosaic, "ann", "2026-11-21T08:00:00Z"),
    ("again", mirrored(mosaic), "ben", "2026-11-21T09:00:00Z"),
    ("text", writing, "cat", "2026-11-21T07:00:00Z"),
    ("lamps", lamps, "dan", "2026-11-21T10:00:00Z"),
]


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reposts")
    with (folder / "uploads.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video_id", "uri", "uploader_id", "uploaded_at"])
        for name, draw, who, at in UPLOADS:
            writer.writerow([name, film(folder / f"{name}.mp4", draw), who, at])
    recall = ["recall", "--date", "2026-11-21", "--input", folder / "uploads.csv", "--output", folder / "recalls"]
    nightjar(*recall, "--clusters", "--skip", "speech", "ocr", "text")
    return folder / "recalls" / "dt=2026-11-21"


def test_a_mirrored_repost_is_in_one_cluster_with_the_first(night):
    rows = {row["video_id"]: row for row in pq.read_table(night / "clusters.parquet").to_pylist()}
    assert set(rows) == {"first", "again"}
    assert (rows["first"]["first"], rows["first"]["repost"]) == (True, False)
    assert (rows["again"]["repost"], rows["again"]["first_uploader_id"], rows["again"]["size"]) == (True, "ann", 2)


def test_verdicts_name_the_cluster_and_other_films_have_none(night):
    found = {row["video_id"]: row for row in pq.read_table(night / "verdicts.parquet").to_pylist()}
    assert found["first"]["cluster_id"] == found["again"]["cluster_id"] is not None
    assert [found[name]["cluster_size"] for name in ("first", "again", "text", "lamps")] == [2, 2, None, None]


def test_only_the_repost_is_a_signal(night):
    signals = pq.read_table(night / "signals.parquet").to_pylist()
    assert [row["video_id"] for row in signals if row["label"] == "Copyright/Reupload"] == ["again"]
    assert json.loads((night / "summary.json").read_text("utf-8"))["clusters"]["clusters"] == 1
