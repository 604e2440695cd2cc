"""Artifacts: fetched once, checked always; damage, full disks and two processes at once."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys

import pytest

from model_registry import artifacts
from model_registry.artifacts import (
    TABLE_FILE,
    Artifact,
    artifact,
    fetch,
    on_this_machine,
    present,
    sha256_of,
    table,
)
from model_registry.bundles import BUNDLES, needed
from model_registry.errors import NightjarError, UsageError

CONTENT = b"weights of a model" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = b"weights of another model"
FIELDS = {
    "shipped": {"path"},
    "url": {"url"},
    "hub": {"repo", "file", "revision"},
    "package": {"package", "sha256", "member"},
    "packages": {"parts"},
}


def wanting(*sources):
    """An artifact with CONTENT from `sources`."""
    return Artifact("toy", "toy.bin", SHA256, "MIT", sources)


def from_file(path):
    return {"kind": "url", "url": path.as_uri()}


@pytest.fixture
def remote(tmp_path):
    path = tmp_path / "remote.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def no_source(monkeypatch):
    """Fail where a source is asked at all."""

    def asked(source, scratch):
        raise AssertionError(f"asked {source}")

    monkeypatch.setattr(artifacts, "FETCHERS", dict.fromkeys(artifacts.FETCHERS, asked))


# The table


@pytest.mark.parametrize("row", table().values(), ids=table())
def test_a_row_says_where_from_and_under_which_licence(row):
    assert row.licence
    assert "/" not in row.file
    assert row.sources
    for source in row.sources:
        assert set(source) == {"kind", *FIELDS[source["kind"]]}
        for part in source.get("parts", [source] if source["kind"] == "package" else []):
            assert set(part) - {"kind"} == FIELDS["package"]
            assert "==" in part["package"]
            assert len(part["sha256"]) == 64
        if source["kind"] == "url":
            assert source["url"].startswith("https://")


def test_names_and_cached_paths_are_unique():
    assert TABLE_FILE.read_text("utf-8").count("[[artifact]]") == len(table())
    assert len({row.cached for row in table().values()}) == len(table())


@pytest.mark.parametrize(
    "row", [row for row in table().values() if row.sources[0]["kind"] == "shipped"], ids=lambda row: row.name
)
def test_shipped_files_are_here_without_a_network(row, home):
    assert present(row) == TABLE_FILE.parent / row.sources[0]["path"]
    assert fetch(row) == present(row)
    assert not home.exists()


@pytest.mark.parametrize("bundle", BUNDLES.values(), ids=BUNDLES)
def test_the_files_of_a_bundle_are_in_the_table(bundle):
    assert set(needed(bundle.models)) <= set(table())


def test_an_unknown_artifact_is_answered_with_the_table():
    with pytest.raises(UsageError, match=r"^there is no artifact 'x'; the table has efficientnet-lite0, open-nsfw, "):
        artifact("x")


@pytest.mark.parametrize("sha256", ["", "0" * 63, "G" * 64, "A" * 64])
def test_a_row_without_a_proper_sha256_is_refused(sha256):
    with pytest.raises(ValueError, match=r"^artifact toy: sha256 '.*' is not 64 lower-case hex digits$"):
        Artifact("toy", "toy.bin", sha256, "MIT", ())


def test_a_row_of_an_unknown_kind_is_refused():
    with pytest.raises(
        ValueError, match=r"source kinds \['ftp'\]; allowed: \['hub', 'package', 'packages', 'shipped', 'url'\]$"
    ):
        wanting({"kind": "ftp"})


# Fetching


def test_an_absent_file_is_fetched_into_the_cache(home, remote):
    wanted = wanting(from_file(remote))
    assert present(wanted) is None
    assert fetch(wanted) == home / "artifacts" / SHA256[:16] / "toy.bin"
    assert wanted.cached.read_bytes() == CONTENT
    assert present(wanted) == wanted.cached


def test_nothing_else_stays_behind(home, remote):
    fetch(wanting(from_file(remote)))
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["toy.bin"]
    assert len(list((home / "artifacts" / SHA256[:16]).iterdir())) == 1


def test_a_cached_file_needs_no_source(home, remote, no_source):
    wanted = wanting(from_file(remote))
    wanted.cached.parent.mkdir(parents=True)
    wanted.cached.write_bytes(CONTENT)
    assert fetch(wanted) == wanted.cached


def test_the_users_folder_of_models_is_asked_before_the_sources(home, tmp_path, monkeypatch, no_source):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "toy.bin").write_bytes(CONTENT)
    monkeypatch.setenv("NIGHTJAR_MODELS", str(folder))
    assert fetch(wanting({"kind": "url", "url": "https://nowhere.invalid"})) == folder / "toy.bin"
    assert not home.exists()


def test_folders_are_absolute_because_workers_start_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTJAR_MODELS", "models")
    monkeypatch.setenv("NIGHTJAR_HOME", "here")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "toy.bin").write_bytes(CONTENT)
    assert present(wanting()) == tmp_path / "models" / "toy.bin"
    assert wanting().cached.is_relative_to(tmp_path / "here")
    monkeypatch.setenv("NIGHTJAR_HOME", "~/elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert wanting().cached.is_relative_to(tmp_path / "elsewhere")


def test_a_wrong_file_in_the_users_folder_is_passed_over(home, remote, tmp_path, monkeypatch, caplog):
    (tmp_path / "models").mkdir()
    wrong = tmp_path / "models" / "toy.bin"
    wrong.write_bytes(OTHER)
    monkeypatch.setenv("NIGHTJAR_MODELS", str(wrong.parent))
    assert fetch(wanting(from_file(remote))).read_bytes() == CONTENT
    assert caplog.messages == [
        f"{wrong} has sha256 {hashlib.sha256(OTHER).hexdigest()}, artifact toy wants {SHA256}; it is passed over"
    ]
    shutil.rmtree(home)
    with pytest.raises(NightjarError, match=f"^artifact toy is not here and could not be fetched .{wrong} has sha256 "):
        fetch(wanting())


def test_a_source_with_another_content_is_not_used_and_the_next_one_is_tried(home, remote, tmp_path):
    wrong = tmp_path / "wrong.bin"
    wrong.write_bytes(OTHER)
    assert fetch(wanting(from_file(wrong), from_file(remote))).read_bytes() == CONTENT


def test_every_source_says_why_not_in_one_sentence(home, tmp_path):
    wrong, absent = tmp_path / "wrong.bin", tmp_path / "absent.bin"
    wrong.write_bytes(OTHER)
    wanted = wanting(from_file(wrong), from_file(absent), {"kind": "shipped", "path": "weights/none.bin"})
    with pytest.raises(NightjarError) as caught:
        fetch(wanted)
    said = str(caught.value)
    assert said.startswith("artifact toy is not here and could not be fetched (url: ")
    assert (
        f"has sha256 {hashlib.sha256(OTHER).hexdigest()}, artifact toy wants {SHA256}; url: FileNotFoundError" in said
    )
    assert "; shipped: " in said
    assert said.endswith("put toy.bin into a folder and name it in NIGHTJAR_MODELS")
    assert "\n" not in said
    assert not wanted.cached.exists()


def test_a_damaged_cached_file_is_fetched_again(home, remote, caplog):
    wanted = wanting(from_file(remote))
    fetch(wanted)
    wanted.cached.write_bytes(CONTENT[:-1])
    assert present(wanted) is None
    caplog.clear()
    assert fetch(wanted).read_bytes() == CONTENT
    assert [f"{wanted.cached} has sha256" in message for message in caplog.messages] == [True]


def test_a_damaged_cached_file_that_cannot_be_fetched_again_is_named(home, remote):
    wanted = wanting(from_file(remote))
    fetch(wanted)
    wanted.cached.write_bytes(b"")
    remote.unlink()
    with pytest.raises(NightjarError, match=rf"\({wanted.cached} has sha256 .*; url: FileNotFoundError"):
        fetch(wanted)


def test_a_full_disk_is_one_sentence(home, remote, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)
    wanted = wanting(from_file(remote))
    sentence = f"^artifact toy cannot be written to {wanted.cached.parent}: No space left on device$"
    with pytest.raises(NightjarError, match=sentence):
        fetch(wanted)
    assert list(wanted.cached.parent.iterdir()) == []


def test_a_home_that_cannot_be_written_is_one_sentence(home, remote):
    home.write_text("a file where a folder should be", "utf-8")
    with pytest.raises(NightjarError, match=r"^artifact toy cannot be written to .*: Not a directory$"):
        fetch(wanting(from_file(remote)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache_is_one_sentence(home, remote):
    home.mkdir(mode=0o500)
    with pytest.raises(NightjarError, match=r"^artifact toy cannot be written to .*: Permission denied$"):
        fetch(wanting(from_file(remote)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_passed_over(home, remote):
    wanted = wanting(from_file(remote))
    fetch(wanted).chmod(0o000)
    assert present(wanted) is None


def test_two_processes_that_fetch_at_once_both_get_the_file(home, tmp_path):
    """Each waits inside the source until the other is there too."""
    code = f"""
import sys, time
from pathlib import Path
from model_registry import artifacts

here, there = Path(sys.argv[1]), Path(sys.argv[2])

def together(source, scratch):
    here.touch()
    while not there.exists():
        time.sleep(0.01)
    (scratch / "found").write_bytes({CONTENT!r})
    return scratch / "found"

artifacts.FETCHERS["url"] = together
print(artifacts.fetch(artifacts.Artifact("toy", "toy.bin", "{SHA256}", "MIT", ({{"kind": "url"}},))))
"""
    marks = [str(tmp_path / "first"), str(tmp_path / "second")]
    runs = [
        subprocess.Popen([sys.executable, "-c", code, *order], stdout=subprocess.PIPE, text=True)
        for order in (marks, marks[::-1])
    ]
    printed = [run.communicate(timeout=60)[0].strip() for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert printed == [str(wanting().cached)] * 2
    assert sha256_of(wanting().cached) == SHA256
    assert len(list(wanting().cached.parent.iterdir())) == 1


def test_a_worker_finds_its_own_copy_of_what_the_driver_pinned(home, remote, tmp_path):
    """Paths are the driver's; the machine that loads has its home elsewhere, or lacks the file."""
    driver = tmp_path / "drivers" / "file"
    with pytest.raises(NightjarError, match=r"artifact efficientnet-lite0 is not on .+; `nightjar models pull` there"):
        on_this_machine("efficientnet-lite0", driver)
    shipped = next(row for row in table().values() if row.sources[0]["kind"] == "shipped")
    assert sha256_of(on_this_machine(shipped.name, driver)) == shipped.sha256
    driver.parent.mkdir()
    driver.write_bytes(b"here")
    assert on_this_machine("efficientnet-lite0", driver) == driver
