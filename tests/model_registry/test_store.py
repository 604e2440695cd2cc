"""Registered versions in a real SQLite store: what is put in comes out, or says why not."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from model_registry import store
from model_registry.artifacts import sha256_of
from model_registry.errors import NightjarError, UsageError

MODEL, ROW = "open_nsfw", "open-nsfw"


@pytest.fixture
def files(tmp_path):
    """Three trained files to register."""
    folder = tmp_path / "trained"
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / f"v{number}.onnx").write_bytes(f"weights {number}".encode())
    return folder


def register(files, number, alias=None):
    return store.register(MODEL, {ROW: files / f"v{number}.onnx"}, alias)


def weights_of(alias):
    [(row, path)] = store.resolve(MODEL, alias).weights
    assert row == ROW
    return Path(path)


# Registering and promoting


def test_the_first_version_is_1_and_has_the_alias_asked_for(registry, files):
    assert register(files, 1, "challenger") == "1"
    assert store.registered_versions(MODEL) == {"1": ("challenger",)}
    assert store.resolve(MODEL, "challenger").version == "mlflow-1"
    assert store.resolve(MODEL, "champion") is None


def test_a_version_comes_back_as_the_files_it_was_made_of(registry, files):
    register(files, 1, "champion")
    (files / "v1.onnx").write_bytes(b"trained on, in the same place")
    found = weights_of("champion")
    assert found.name == "v1.onnx"
    assert found.read_bytes() == b"weights 1"
    assert found.is_relative_to(registry / "registered")


def test_an_alias_moves_to_the_version_promoted_last(registry, files):
    for number in (1, 2, 3):
        register(files, number)
    store.promote(MODEL, "1")
    store.promote(MODEL, "3", "challenger")
    assert list(store.registered_versions(MODEL).items()) == [("3", ("challenger",)), ("2", ()), ("1", ("champion",))]
    store.promote(MODEL, "3")
    assert set(store.registered_versions(MODEL)["3"]) == {"champion", "challenger"}
    assert weights_of("champion").read_bytes() == b"weights 3"


def test_versions_are_counted_and_not_spelled(registry, files):
    """Ten is newer than nine."""
    for _ in range(10):
        register(files, 1)
    assert list(store.registered_versions(MODEL))[:2] == ["10", "9"]


def test_demoted_means_built_in(registry, files):
    register(files, 1, "champion")
    store.demote(MODEL, "champion")
    assert store.resolve(MODEL, "champion") is None
    store.demote(MODEL, "champion")


def test_models_are_kept_apart(registry, files):
    register(files, 1, "champion")
    assert store.registered_versions("efficientnet_lite0") == {}


def test_a_folder_comes_back_with_every_file(registry, tmp_path):
    folder = tmp_path / "checkpoint"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}", "utf-8")
    (folder / "sub" / "weights.bin").write_bytes(b"weights")
    store.register(MODEL, {ROW: folder}, "champion")
    found = weights_of("champion")
    assert {path.relative_to(found).as_posix(): path.read_bytes() for path in found.rglob("*") if path.is_file()} == {
        "config.json": b"{}",
        "sub/weights.bin": b"weights",
    }


# What is refused


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: store.promote(MODEL, "7"), "model open_nsfw has no registered version 7; found: 2, 1"),
        (lambda: store.promote(MODEL, "first"), "model open_nsfw has no registered version first; found: 2, 1"),
        (
            lambda: store.promote("imagenet_weapons", "1"),
            "model imagenet_weapons has no registered version 1; found: none",
        ),
        (lambda: store.promote(MODEL, "1", "best"), "alias 'best' is not known; allowed: champion, challenger"),
        (lambda: store.demote(MODEL, "best"), "alias 'best' is not known; allowed: champion, challenger"),
        (lambda: store.resolve(MODEL, "best"), "alias 'best' is not known; allowed: champion, challenger"),
        (lambda: store.promote("it's", "1"), 'there is no model "it\'s"; the catalog has '),
        (lambda: store.demote("nope", "champion"), "there is no model 'nope'; the catalog has "),
        (lambda: store.resolve("nope", "champion"), "there is no model 'nope'; the catalog has "),
        (lambda: store.registered_versions("nope"), "there is no model 'nope'; the catalog has "),
        (lambda: store.register("nope", {}), "there is no model 'nope'; the catalog has "),
        (lambda: store.register(MODEL, {}), "model open_nsfw loads the artifacts open-nsfw; given: none"),
        (
            lambda: store.register(MODEL, {"weights": Path("w"), ROW: Path("w")}),
            "model open_nsfw loads the artifacts open-nsfw; given: open-nsfw, weights",
        ),
        (lambda: store.register(MODEL, {ROW: Path("/no/file")}), "there is no file and no folder of files at /no/file"),
    ],
)
def test_a_wrong_call_is_one_sentence(registry, files, call, sentence):
    register(files, 1)
    register(files, 2)
    with pytest.raises(UsageError, match="^" + re.escape(sentence)):
        call()
    assert store.registered_versions(MODEL) == {"2": (), "1": ()}


def test_a_wrong_alias_is_refused_before_anything_is_uploaded(registry, files):
    with pytest.raises(UsageError, match=r"^alias 'best' is not known"):
        register(files, 1, "best")
    assert store.registered_versions(MODEL) == {}


def test_an_empty_folder_is_no_version(registry, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=f"^there is no file and no folder of files at {tmp_path}/empty$"):
        store.register(MODEL, {ROW: tmp_path / "empty"})


# Damage


def test_a_damaged_copy_is_fetched_again(registry, files, caplog):
    register(files, 1, "champion")
    weights_of("champion").write_bytes(b"damaged")
    caplog.clear()
    assert weights_of("champion").read_bytes() == b"weights 1"
    [message] = [record.message for record in caplog.records if record.name == store.__name__]
    assert re.fullmatch(
        r"\S+/open-nsfw has sha256 [0-9a-f]{64}, it was registered with [0-9a-f]{64}; it is fetched again", message
    )


def test_a_lost_copy_is_fetched_again(registry, files):
    register(files, 1, "champion")
    weights_of("champion").unlink()
    assert weights_of("champion").read_bytes() == b"weights 1"
    shutil.rmtree(registry / "registered")
    assert weights_of("champion").read_bytes() == b"weights 1"


def test_a_registered_file_that_was_tampered_with_is_refused(registry, files):
    register(files, 1, "champion")
    [stored] = (registry / "mlartifacts").rglob("v1.onnx")
    stored.write_bytes(b"tampered")
    for _ in range(2):
        with pytest.raises(NightjarError) as caught:
            store.resolve(MODEL, "champion")
        found, wanted = sha256_of(stored), sha256_of(files / "v1.onnx")
        assert " is not what was registered: " in str(caught.value)
        assert str(caught.value).endswith(f"/open-nsfw has sha256 {found}, it was registered with {wanted}")
        assert list((registry / "registered" / MODEL).iterdir()) == []


def test_a_registered_file_that_is_gone_is_one_sentence(registry, files):
    register(files, 1, "champion")
    shutil.rmtree(registry / "mlartifacts")
    with pytest.raises(NightjarError, match=r"^the model registry sqlite:///\S+ cannot be used: [^\n]+$"):
        store.resolve(MODEL, "champion")


# Stores elsewhere


PINS = """
import sys
from model_registry import store
from model_registry.bundles import pin_model
assert store.is_empty() and store.registered_versions("open_nsfw") == {}
assert store.resolve("open_nsfw", "champion") is None
assert pin_model("laion_nudity_vit_b_32").version == "1.0.0"
print("mlflow" in sys.modules)
"""


def imports_mlflow_to_pin(home):
    environment = {**os.environ, "NIGHTJAR_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", PINS], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"


def test_an_empty_home_is_known_without_importing_mlflow(tmp_path):
    assert not imports_mlflow_to_pin(tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_a_store_of_runs_without_models_is_known_without_importing_mlflow(registry):
    client = store.connect()
    client.create_run(store.experiment_id(client, "runs"))
    assert (registry / "mlflow.db").stat().st_size > 0
    assert not imports_mlflow_to_pin(registry)


def test_only_a_table_that_says_so_is_empty(registry, files):
    register(files, 1, "champion")
    assert not store.is_empty()
    (registry / "mlflow.db").write_bytes(b"no database")
    assert not store.is_empty()
    (registry / "mlflow.db").write_bytes(b"")  # one without tables, as another version might have it
    assert not store.is_empty()


def test_the_users_tracking_store_is_used(registry, files, tmp_path, monkeypatch):
    register(files, 1, "champion")
    elsewhere = tmp_path / "elsewhere.db"
    shutil.copyfile(registry / "mlflow.db", elsewhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere}")
    assert not store.is_empty()
    assert store.tracking_uri() == f"sqlite:///{elsewhere}"
    assert register(files, 2, "champion") == "2"
    assert weights_of("champion").read_bytes() == b"weights 2"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert list(store.registered_versions(MODEL)) == ["1"]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("gopher://old", "gopher://old"),
        ("file:///tmp/mlruns", "file:///tmp/mlruns"),
        ("http://me:secret@127.0.0.1:9", "http://***@127.0.0.1:9"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_sentence_without_passwords(registry, files, monkeypatch, uri, shown):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    calls = [lambda: register(files, 1), lambda: store.resolve(MODEL, "champion"), lambda: store.promote(MODEL, "1")]
    for call in calls:
        with pytest.raises(NightjarError) as caught:
            call()
        assert str(caught.value).startswith(f"the model registry {shown} cannot be used: ")
        assert "\n" not in str(caught.value)
        assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_one_sentence(home):
    home.mkdir()
    (home / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(NightjarError, match=r"cannot be used: .*file is not a database"):
        store.registered_versions(MODEL)


def test_a_home_that_cannot_be_made_is_one_sentence(home, files):
    home.write_text("a file", "utf-8")
    with pytest.raises(NightjarError, match=r"^the model registry sqlite:///\S+ cannot be used: "):
        register(files, 1)


def test_a_server_decides_where_its_files_lie(registry, monkeypatch):
    assert store.artifact_root() == (registry / "mlartifacts").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://host/db")
    assert store.artifact_root() == (registry / "mlartifacts").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    assert store.artifact_root() is None


# What it leaves alone


def test_no_network_is_touched(registry, files, monkeypatch):
    asked = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: asked.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: asked.append(args))
    register(files, 1, "champion")
    weights_of("champion")
    assert asked == []


OUTSIDE = """
import os, sys
from importlib.abc import MetaPathFinder
from pathlib import Path

class Watch(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "mlflow":
            print(os.environ.get("MLFLOW_DISABLE_TELEMETRY"), os.environ.get("DO_NOT_TRACK"))

sys.meta_path.insert(0, Watch())
from model_registry import store
store.register("open_nsfw", {"open-nsfw": Path(sys.argv[1])}, "champion")
store.resolve("open_nsfw", "champion")
"""


@pytest.mark.parametrize("own_database", [True, False])
def test_a_fresh_process_tells_nobody_and_writes_nowhere_else(registry, files, tmp_path, own_database):
    """mlflow would put an `mlruns` folder into the working folder, and reads its settings while it is imported."""
    for name in ("cwd", "user"):
        (tmp_path / name).mkdir()
    database = registry / "mlflow.db" if own_database else tmp_path / "other.db"
    if not own_database:
        (registry / "mlflow.db").rename(database)
    environment = {**os.environ, "HOME": str(tmp_path / "user"), "NIGHTJAR_HOME": str(registry)}
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "MLFLOW_TRACKING_URI"):
        environment.pop(name, None)
    if not own_database:
        environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{database}"
    command = [sys.executable, "-c", OUTSIDE, str(files / "v1.onnx")]
    done = subprocess.run(command, cwd=tmp_path / "cwd", env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["true", "true"]
    assert done.stderr == ""
    assert [path for name in ("cwd", "user") for path in (tmp_path / name).rglob("*")] == []
    assert {path.name for path in registry.iterdir()} - {"mlflow.db"} == {"mlartifacts", "registered"}
