"""The decode stage: one content in, its windows out, whatever the content is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

import pipelines.decode.stage
from pipelines.decode.limits import Limits
from pipelines.decode.stage import Decode
from pipelines.rows import WINDOWS, windows_of_frames
from pipelines.stage import run_local
from pipelines.storage import content_hash
from tests.watching import SMALL, watch

LIMITS = Limits(stall_seconds=30)
STAGE = Decode(sampling=SMALL, limits=LIMITS)


@pytest.fixture(autouse=True)
def _no_child_is_left() -> Iterator[None]:
    yield
    while pipelines.decode.stage._idle:
        pipelines.decode.stage._idle.pop().close()


def contents(*uris: str) -> pa.Table:
    hashes = [content_hash(uri, LIMITS) for uri in uris]
    columns = {"content_sha256": [sha256 for sha256, _ in hashes], "uri": list(uris), "bytes": [n for _, n in hashes]}
    return pa.table(columns)


def test_windows_come_out_in_order_and_only_windows(film: Path, long_film: Path) -> None:
    table = contents(str(film), str(long_film))
    out = run_local([STAGE], table)
    assert out.schema == WINDOWS
    assert out["window_index"].to_pylist() == [0, 0, 1, 2]
    assert out["last"].to_pylist() == [True, False, False, True]
    assert out["content_sha256"].to_pylist() == [table["content_sha256"][index].as_py() for index in (0, 1, 1, 1)]
    assert windows_of_frames(out)[0].tobytes() == watch(film).frames_THWC.tobytes()


def test_remote_contents_are_decoded_from_a_copy_whose_path_no_message_tells(film: Path) -> None:
    files = fsspec.filesystem("memory")
    bad = {
        "playlist": b"#EXTM3U\nother.ts\n",
        "no index": film.read_bytes()[:3000],
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "sound": b"RIFF\x10\x00\x00\x00WAVEfmt " + bytes(100),
        "matroska": b"\x1a\x45\xdf\xa3\x84" + bytes(100),
        "words": b"words",
    }
    files.pipe("/good.mp4", film.read_bytes())
    for name, content in bad.items():
        files.pipe(f"/{name}.mp4", content)
    out = run_local([STAGE], contents("memory://good.mp4", *(f"memory://{name}.mp4" for name in bad))).to_pylist()
    assert [row["last"] for row in out] == [True] * (1 + len(bad))
    assert (out[0]["error_code"], out[0]["frame_ms"]) == (None, [0, 1000, 2000])
    for row in out[1:]:
        assert row["error_code"] in {"playlist_refused", "damaged", "unsupported_format"}
        assert not re.search(r"/tmp|/proc|nightjar-|\n|Errno|'", row["error_message"]), row["error_message"]
        assert row["error_message"][0] == row["error_message"][0].lower()


def test_what_changed_or_went_away_since_it_was_hashed_is_a_row(tmp_path: Path, film: Path) -> None:
    paths = [tmp_path / name for name in ("changed.mp4", "gone.mp4", "folder.mp4")]
    for path in paths:
        path.write_bytes(film.read_bytes())
    fsspec.filesystem("memory").pipe("/gone.mp4", film.read_bytes())
    table = contents(*map(str, paths), "memory://gone.mp4")
    paths[0].write_bytes(film.read_bytes() + b"more")
    paths[1].unlink()
    paths[2].unlink()
    paths[2].mkdir()
    fsspec.filesystem("memory").rm("/gone.mp4")
    rows = run_local([STAGE], table).to_pylist()
    assert [row["error_code"] for row in rows] == ["changed", "not_found", "changed", "not_found"]
    assert all(row["last"] and row["frame_ms"] == [] and row["content_sha256"] for row in rows)


def test_the_child_is_kept_until_the_limits_change(film: Path) -> None:
    table = contents(str(film))
    run_local([STAGE], table)
    (kept,) = pipelines.decode.stage._idle
    assert kept.process is not None
    run_local([replace(STAGE, sampling=replace(SMALL, interval_ms=500))], table)
    assert pipelines.decode.stage._idle == [kept]
    run_local([replace(STAGE, limits=replace(LIMITS, recycle_after=7))], table)
    assert kept not in pipelines.decode.stage._idle
    assert kept.process is None
