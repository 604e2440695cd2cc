"""Folders as manifests: the tables in them, else the videos, on a disk and in a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_registry.errors import NightjarError, UsageError
from pipelines import listing
from pipelines.manifest import manifest_of_paths, read_manifest
from pipelines.rows import MANIFEST

FOLDER = "in/dt=2026-11-21"


class Shop:
    """A folder on a disk or in a store, under the same names."""

    def __init__(self, root: str) -> None:
        self.root = root  # ends with /

    def put(self, name: str, content: bytes | str = b"x") -> None:
        with fsspec.open(self.root + name, "wb", auto_mkdir=True) as file:
            file.write(content.encode() if isinstance(content, str) else content)

    def parquet(self, name: str, **columns: list) -> None:
        with fsspec.open(self.root + name, "wb", auto_mkdir=True) as file:
            pq.write_table(pa.table(columns), file)


@pytest.fixture(params=["disk", "store"])
def shop(request, tmp_path, monkeypatch) -> Iterator[Shop]:
    if request.param == "disk":
        monkeypatch.chdir(tmp_path)
        yield Shop("")
    else:
        store = fsspec.filesystem("memory")
        yield Shop("memory://shop/")
        store.rm("/", recursive=True)


def ids(manifest: pa.Table) -> list[str]:
    assert manifest.schema == MANIFEST
    return manifest["video_id"].to_pylist()


class TestTables:
    @pytest.mark.parametrize("end", ["", "/"])
    def test_their_union_in_the_order_of_their_names(self, shop, end):
        shop.put(f"{FOLDER}/part-1.csv", "video_id,uri,views\nc,/c,7\n")
        shop.parquet(f"{FOLDER}/part-0.parquet", video_id=["a", "b"], uri=["/a", "/b"])
        shop.put(f"{FOLDER}/hour=02/part-0.jsonl", '{"video_id": "d", "uri": "s3://b/d", "title": "骰"}\n')
        manifest = read_manifest(shop.root + FOLDER + end)

        assert ids(manifest) == ["a", "b", "c", "d"]
        assert manifest["views"].to_pylist() == [None, None, 7, None]
        assert manifest["title"].to_pylist()[3] == "骰"

    def test_marks_hidden_and_temporary_files_are_skipped(self, shop):
        shop.put(f"{FOLDER}/part-0.csv", "video_id,uri\na,/a\n")
        for name in ("_SUCCESS", "_part-1.csv", ".part-2.csv", "_temporary/0/part-3.csv", ".staging/part-4.csv"):
            shop.put(f"{FOLDER}/{name}", "video_id,uri\nz,/z\n")

        assert ids(read_manifest(shop.root + FOLDER)) == ["a"]

    def test_a_table_without_rows_is_no_fault_of_the_others(self, shop):
        shop.put(f"{FOLDER}/part-0.csv", "")
        shop.put(f"{FOLDER}/part-1.csv", "video_id,uri\na,/a\n")

        assert ids(read_manifest(shop.root + FOLDER)) == ["a"]

    def test_limit_counts_over_all(self, shop):
        for name in "abc":
            shop.put(f"{FOLDER}/{name}.csv", f"video_id,uri\n{name},/{name}\n")

        assert ids(read_manifest(shop.root + FOLDER, 2)) == ["a", "b"]

    def test_a_folder_called_as_spark_calls_it(self, shop):
        shop.parquet("m.parquet/part-0.parquet", video_id=["a"], uri=["/a"])
        shop.parquet("m.parquet/part-1.parquet", video_id=["b"], uri=["/b"])

        assert sorted(ids(read_manifest(f"{shop.root}m.parquet"))) == ["a", "b"]


class TestFaults:
    def refused(self, shop: Shop) -> str:
        with pytest.raises(UsageError) as refusal:
            read_manifest(shop.root + FOLDER)
        assert "\n" not in str(refusal.value)
        return str(refusal.value)

    def test_an_id_in_two_tables(self, shop):
        shop.put(f"{FOLDER}/part-0.csv", "video_id,uri\na,/1\n")
        shop.put(f"{FOLDER}/part-1.csv", "video_id,uri\nb,/2\na,/3\n")

        said = "video_id 'a' stands in more than one row, in part-0.csv and part-1.csv (1 ids do)"
        assert self.refused(shop) == f"manifest {shop.root}{FOLDER}: {said}"

    def test_a_table_that_lacks_a_column_is_named(self, shop):
        shop.put(f"{FOLDER}/part-0.csv", "video_id,uri\na,/1\n")
        shop.put(f"{FOLDER}/part-1.csv", "id,uri\nb,/2\n")

        assert self.refused(shop) == f"manifest {shop.root}{FOLDER}/part-1.csv lacks video_id; its columns are id, uri"

    def test_a_row_is_counted_in_its_own_table(self, shop):
        shop.put(f"{FOLDER}/part-0.csv", "video_id,uri\na,/1\n")
        shop.put(f"{FOLDER}/part-1.csv", 'video_id,uri\nb,/2\n"",/3\n')

        assert self.refused(shop) == f"manifest {shop.root}{FOLDER}/part-1.csv: video_id is empty in row 2"

    def test_tables_without_a_row(self, shop):
        shop.put(f"{FOLDER}/part-0.csv", "video_id,uri\n")

        assert self.refused(shop) == f"manifest {shop.root}{FOLDER} is empty, wanted at least one video"

    def test_a_folder_with_a_mark_only(self, shop):
        shop.put(f"{FOLDER}/_SUCCESS", b"")

        assert self.refused(shop).endswith("is empty, wanted at least one video")


class TestVideos:
    def test_a_folder_without_a_table_is_its_videos(self, shop):
        for name in ("b.mp4", "a.mp4", "sub/_c.mp4", "_SUCCESS", ".hidden.mp4", ".cache/d.mp4"):
            shop.put(f"{FOLDER}/{name}")
        manifest = read_manifest(shop.root + FOLDER)

        assert ids(manifest) == ["a.mp4", "b.mp4", "sub/_c.mp4"]
        root = shop.root or f"{Path.cwd()}/"
        assert manifest["uri"].to_pylist() == [f"{root}{FOLDER}/{name}" for name in ids(manifest)]

    def test_a_glob(self, shop):
        for name in ("b.mp4", "a.mp4", "c.mov", "sub/d.mp4"):
            shop.put(f"{FOLDER}/{name}")
        uris = read_manifest(f"{shop.root}{FOLDER}/*.mp4")["uri"].to_pylist()

        assert [uri.rpartition("/")[2] for uri in uris] == ["a.mp4", "b.mp4"]
        assert all(uri.startswith("memory://" if shop.root else "/") for uri in uris)
        for uri in uris:
            with fsspec.open(uri) as file:
                assert file.read() == b"x"

    def test_a_glob_of_folders_is_what_is_in_them(self, shop):
        shop.put("in/dt=2026-11-20/a.mp4")
        shop.put("in/dt=2026-11-21/sub/b.mp4")

        assert ids(read_manifest(f"{shop.root}in/dt=*")) == ["a.mp4", "sub/b.mp4"]

    def test_a_glob_that_finds_nothing(self, shop):
        shop.put("in/a.mov")
        with pytest.raises(UsageError, match="and no file matches it"):
            read_manifest(f"{shop.root}in/*.mp4")

    def test_a_name_that_is_spelt_like_a_pattern_is_a_name(self, shop):
        shop.put("in/a[1].mp4")
        shop.put("in/a1.mp4")

        assert ids(manifest_of_paths([f"{shop.root}in/a[1].mp4"])) == [f"{shop.root}in/a[1].mp4"]

    def test_two_folders_with_the_same_names_in_them(self, shop):
        shop.put("one/a.mp4")
        shop.put("two/a.mp4")

        assert ids(manifest_of_paths([f"{shop.root}one/", f"{shop.root}two/"])) == [
            f"{shop.root}one/a.mp4",
            f"{shop.root}two/a.mp4",
        ]


class TestListing:
    def test_what_is_there(self, shop):
        shop.put(f"{FOLDER}/a.csv")

        assert all(
            listing.exists(f"{shop.root}{name}") for name in (FOLDER, f"{FOLDER}/", f"{FOLDER}/a.csv", "in/*/*.csv")
        )
        assert not any(
            listing.exists(f"{shop.root}{name}") for name in ("out", "out/", f"{FOLDER}/b.csv", "in/*/*.mp4")
        )

    def test_a_file_that_came_later_is_seen(self, shop):
        shop.put(f"{FOLDER}/a.csv")
        assert not listing.exists(f"{shop.root}{FOLDER}/_SUCCESS")
        shop.put(f"{FOLDER}/_SUCCESS", b"")

        assert listing.exists(f"{shop.root}{FOLDER}/_SUCCESS")

    def test_an_empty_folder_is_not_there_yet(self, tmp_path):
        assert not listing.exists(str(tmp_path))

    def test_a_file_uri_of_a_folder(self, tmp_path):
        (tmp_path / "a.mp4").write_bytes(b"x")

        assert ids(read_manifest(tmp_path.as_uri())) == ["a.mp4"]

    def test_web_addresses_are_files_and_nobody_is_asked(self):
        manifest = read_manifest("https://nowhere.invalid/y?z=*")

        assert manifest["uri"].to_pylist() == ["https://nowhere.invalid/y?z=*"]
        assert read_manifest("https://nowhere.invalid/folder/")["uri"].to_pylist() == [
            "https://nowhere.invalid/folder/"
        ]

    def test_a_store_nobody_knows_and_one_that_does_not_answer(self, monkeypatch):
        with pytest.raises(UsageError, match=r"^nowhere://in/ cannot be listed: "):
            read_manifest("nowhere://in/")

        def broken(*_: object, **__: object) -> bool:
            raise RuntimeError("no route\nto host")

        monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "isdir", broken)
        with pytest.raises(NightjarError, match=r"^memory://in/ cannot be listed: no route$") as raised:
            read_manifest("memory://key:s3cret@in/")
        assert raised.value.exit_status == 1


@pytest.fixture(scope="module")
def s3() -> Iterator[object]:
    from tests.s3_server import serving

    with serving() as server:
        yield server


def test_a_dated_folder_in_s3(s3, monkeypatch):
    """The real client: a folder of tables, a folder of videos, a glob, and what is not there yet."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    bucket = s3.bucket("uploads")
    for name, content in {
        "dt=2026-11-21/part-0.csv": b"video_id,uri\na,s3://uploads/v/a.mp4\n",
        "dt=2026-11-21/part-1.jsonl": b'{"video_id": "b", "uri": "s3://uploads/v/b.mp4"}\n',
        "dt=2026-11-21/_SUCCESS": b"",
        "v/": b"",  # as consoles make folders
        "v/b.mp4": b"x",
        "v/a.mp4": b"x",
    }.items():
        s3.files.pipe(f"{bucket}/{name}", content)

    assert ids(read_manifest(f"{bucket}/dt=2026-11-21/")) == ["a", "b"]
    assert read_manifest(f"{bucket}/v")["uri"].to_pylist() == [f"{bucket}/v/a.mp4", f"{bucket}/v/b.mp4"]
    assert ids(read_manifest(f"{bucket}/v/*.mp4")) == [f"{bucket}/v/a.mp4", f"{bucket}/v/b.mp4"]
    assert listing.exists(f"{bucket}/dt=2026-11-21/_SUCCESS")
    assert not listing.exists(f"{bucket}/dt=2026-11-22/")

    s3.files.pipe(f"{bucket}/dt=2026-11-21/part-2.csv", b"video_id,uri\nc,s3://uploads/v/c.mp4\n")
    assert ids(read_manifest(f"{bucket}/dt=2026-11-21/")) == ["a", "b", "c"], "somebody else wrote it"
    fsspec.get_filesystem_class("s3").clear_instance_cache()
