"""The registry's commands: what is listed, pulled, registered and promoted, from the outside."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jobs import cli
from model_registry import store
from model_registry.bundles import pin_model
from model_registry.catalog import CATALOG
from model_registry.labels import taxonomy


def nightjar(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    shown = capsys.readouterr()
    return int(end.value.code or 0), shown.out, shown.err


def test_list_names_every_model_and_every_label(home, capsys):
    status, shown, _ = nightjar(capsys, "models", "list", "--json")
    rows = [json.loads(line) for line in shown.splitlines()]

    assert status == 0
    assert [row["model"] for row in rows] == list(CATALOG)
    assert all(row["licence"] for row in rows)
    _, labels, _ = nightjar(capsys, "models", "list", "--labels", "--json")
    assert {json.loads(line)["label"] for line in labels.splitlines()} == taxonomy().names()


def test_register_promote_and_go_back(home, tmp_path, capsys):
    vectors = np.eye(2, 512, dtype=np.float32)
    np.save(tmp_path / "retrained.npy", vectors)
    name, row = "laion_violence_vit_b_32", "laion-violence-vit-b-32"

    status, shown, _ = nightjar(capsys, "models", "register", name, f"{row}={tmp_path / 'retrained.npy'}")
    assert (status, shown) == (0, f"{name} version 1\n")
    assert pin_model(name).version == CATALOG[name].spec.version

    assert nightjar(capsys, "models", "promote", name, "1")[0] == 0
    promoted = pin_model(name)
    assert promoted.source == f"{name}@mlflow-1"
    assert np.array_equal(promoted.load().safe_violent_2D, vectors)
    assert store.registered_versions(name) == {"1": ("champion",)}

    assert nightjar(capsys, "models", "promote", name, "--builtin")[0] == 0
    assert pin_model(name).version == CATALOG[name].spec.version


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("pull", "huge"), "lite, clip-b32, clip-l14"),
        (("register", "nobody", "a=b"), "there is no model 'nobody'"),
        (("register", "open_nsfw", "weights=x.onnx"), "open-nsfw"),
        (("register", "open_nsfw", "open-nsfw=nowhere.onnx"), "nowhere.onnx"),
        (("promote", "open_nsfw"), "--builtin"),
        (("promote", "open_nsfw", "7"), "7"),
    ],
)
def test_a_wrong_call_is_one_sentence(home, capsys, arguments, complaint):
    status, shown, error = nightjar(capsys, "models", *arguments)

    assert status == 2
    assert shown == ""
    assert complaint in error
    assert error.count("\n") == 1
