"""Trees of files: pieces end before their parts, patterns are names, and a store's error is a sentence."""

from __future__ import annotations

import os

import pytest

from model_registry.errors import NightjarError
from pipelines.places import place
from pipelines.trees import measure, remove
from tests.pruning import names


@pytest.fixture
def store():
    root = place("memory://prune-trees")
    yield root
    root.fs.rm("/prune-trees", recursive=True)


def test_names_that_look_like_patterns_take_nothing_else_along(store):
    for name in ("a[1]/x", "a1/x", "a*/x", "ab/x"):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_text("x")

    remove(store / "a[1]", "windows-*")
    remove(store / "a*", "windows-*")

    assert names(store) == {"a1/x", "ab/x"}


def test_one_object_is_measured_and_removed(store):
    store.mkdir(parents=True, exist_ok=True)
    (store / "report.html").write_text("12345")

    assert (measure(store / "report.html").files, measure(store / "report.html").bytes) == (1, 5)
    remove(store / "report.html", "windows-*")
    assert measure(store / "report.html").files == 0
    remove(store / "report.html", "windows-*")


def test_pieces_cease_to_exist_before_anything_of_them_goes(tmp_path, monkeypatch):
    for name in ("said-1", "windows-1", "peaks-1", "windows-2"):
        (tmp_path / "f" / "deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / "deep" / f"{name}.parquet").write_text("x")
    order: list[str] = []
    real = os.unlink
    monkeypatch.setattr(
        "pipelines.trees.os.unlink", lambda name, **options: (order.append(name), real(name, **options))
    )

    remove(tmp_path / "f", "windows-*")

    assert [name.split("-")[0] for name in order[:2]] == ["windows", "windows"]
    assert len(order) == 4
    assert not (tmp_path / "f").exists()


def test_a_store_that_cannot_be_reached_is_one_sentence_without_a_secret(monkeypatch):
    root = place("memory://key:secret@prune-tests/recalls")

    def refuse(*_, **__):
        raise RuntimeError("no route to memory://key:secret@prune-tests?token=1\nsecond line")

    monkeypatch.setattr(type(root.fs), "find", refuse)
    with pytest.raises(NightjarError, match=r"^memory://prune-tests/recalls cannot be reached: ") as refusal:
        measure(root)
    assert "secret" not in str(refusal.value)
