"""Places: whole or not there, on a disk and in a store; patient with a busy one; no secret in what is said."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pyarrow as pa
import pytest

from model_registry.errors import NightjarError, UsageError
from pipelines import places
from pipelines.places import (
    exists,
    listed,
    make,
    place,
    read_bytes,
    read_table,
    redacted,
    remove,
    whole,
    write_bytes,
    write_table,
    write_text,
)

TABLE = pa.table({"a": [1, 2], "b": ["x", "y"]})


@pytest.fixture(params=["disk", "store"])
def folder(request, tmp_path):
    return place(f"memory://{uuid.uuid4().hex}/out") if request.param == "store" else tmp_path / "out"


def test_what_is_written_is_there(folder):
    make(folder)
    write_table(folder / "t-1.parquet", TABLE)
    write_text(folder / "t.txt", "né\ud800")
    write_bytes(folder / "b", b"\0\1")

    assert read_table(folder / "t-1.parquet").equals(TABLE)
    assert read_bytes(folder / "t.txt") == "né\\ud800".encode()
    assert [path.name for path in listed(folder, "t*")] == ["t-1.parquet", "t.txt"]
    assert exists(folder / "b")
    remove(folder / "b")
    remove(folder / "b")
    assert not exists(folder / "b")


def test_columns_that_a_table_lacks_are_null_under_a_schema(folder):
    make(folder)
    write_table(folder / "t.parquet", TABLE)
    schema = pa.schema([("a", pa.int64()), ("new", pa.string())])

    assert read_table(folder / "t.parquet", schema=schema).to_pylist() == [{"a": 1, "new": None}, {"a": 2, "new": None}]
    assert read_table(folder / "t.parquet", columns=["b"]).column_names == ["b"]


def test_a_write_that_fails_leaves_what_was_there_and_nothing_beside_it(folder):
    make(folder)
    write_bytes(folder / "f", b"before")
    lent = whole(folder / "f")
    lent.__enter__().write(b"half")
    assert lent.__exit__(ZeroDivisionError, ZeroDivisionError(), None) is False

    assert read_bytes(folder / "f") == b"before"
    assert [path.name for path in listed(folder, "*")] == ["f"]


def test_nothing_is_seen_before_it_is_whole(folder):
    make(folder)
    with whole(folder / "f") as file:
        file.write(b"half")
        file.flush()
        assert not exists(folder / "f")
    assert exists(folder / "f")


def test_a_full_disk_is_the_callers_to_know(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(tmp_path / "f", b"x")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_place_has_nothing(folder):
    assert listed(folder, "*") == []
    assert not exists(folder)
    with pytest.raises(FileNotFoundError):
        read_bytes(folder / "f")


class TestBusyStore:
    @pytest.fixture
    def busy(self, monkeypatch):
        """A store that fails as often as it is told to."""
        folder = place(f"memory://{uuid.uuid4().hex}/out")
        write_bytes(folder / "f", b"x")
        left, cat = [0], type(folder.fs).cat_file

        def fail(self, *args, **kwargs):
            left[0] -= 1
            if left[0] >= 0:
                raise RuntimeError("SlowDown https://key:secret@host/f?X-Amz-Signature=1")
            return cat(self, *args, **kwargs)

        monkeypatch.setattr(type(folder.fs), "cat_file", fail)
        monkeypatch.setattr(places.time, "sleep", lambda seconds: None)
        return folder / "f", left

    def test_it_is_asked_again(self, busy):
        file, left = busy
        left[0] = places.ATTEMPTS - 1
        assert read_bytes(file) == b"x"

    def test_it_is_not_asked_for_ever_and_no_secret_is_told(self, busy):
        file, left = busy
        left[0] = places.ATTEMPTS
        with pytest.raises(NightjarError, match="cannot be reached: RuntimeError: SlowDown https://host/f") as told:
            read_bytes(file)
        assert "secret" not in str(told.value)
        assert "Signature" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a/b", Path("a/b")),
        ("/a", Path("/a")),
        ("file:///a/b", Path("/a/b")),
        ("file://localhost/a%20b", Path("/a b")),
        ("C:x", Path("C:x")),
    ],
)
def test_local_places_are_paths(text, path):
    assert place(text) == path
    assert isinstance(place(text), Path)


def test_an_unknown_store_is_one_sentence():
    with pytest.raises(UsageError, match=r"nosuch://bucket/x cannot be reached by this installation: "):
        place("nosuch://key:secret@bucket/x")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("s3://bucket/key.mp4", "s3://bucket/key.mp4"),
        ("get https://u:p@host/a?sig=1 now", "get https://host/a now"),
        ("s3://AK:SK@bucket/a and s3://b/c?x=1", "s3://bucket/a and s3://b/c"),
        ("mail me@example.org", "mail me@example.org"),
        ("/local/file?.mp4", "/local/file?.mp4"),
    ],
)
def test_uris_are_told_without_secrets(text, told):
    assert redacted(text) == told


def test_secrets_of_the_environment_are_not_told(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("SHORT_TOKEN", "on")
    assert redacted("denied for wJalrXUtnFEMI on s3://b/c") == "denied for ... on s3://b/c"
