"""cluster.yaml is what Ray's own launcher accepts, and its commands do on a node what they promise."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

CLUSTER = Path(__file__).parents[1] / "cluster.yaml"
SHARED = ("RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED", "RAY_object_spilling_directory", "NIGHTJAR_HOME")


def parsed() -> dict:
    return yaml.safe_load(CLUSTER.read_text("utf-8"))


def validated(config: dict) -> dict:
    from ray.autoscaler._private.util import prepare_config, validate_config

    whole = prepare_config(config)
    validate_config(whole)
    return whole


def test_ray_accepts_the_cluster():
    whole = validated(parsed())

    assert whole["head_node_type"] in whole["available_node_types"]
    assert {"decode", "look"} < set(whole["available_node_types"])


@pytest.mark.parametrize("path", [(), ("available_node_types", "decode")])
def test_ray_refuses_a_cluster_with_a_misspelt_key(path):
    config = parsed()
    table = config
    for name in path:
        table = table[name]
    table["max_wokers"] = 3

    with pytest.raises(Exception, match="max_wokers"):
        validated(config)


def is_spot(kind: dict) -> bool:
    return kind["node_config"].get("InstanceMarketOptions") == {"MarketType": "spot"}


def test_the_head_stays_and_every_spot_type_has_one_to_fall_back_on():
    kinds = parsed()["available_node_types"]
    spot = {name: kind for name, kind in kinds.items() if is_spot(kind)}

    assert set(spot) == {"decode", "look"}
    for name, kind in spot.items():
        other = kinds[f"{name}-on-demand"]
        assert not is_spot(other)
        assert other["resources"] == kind["resources"], "else it is no substitute"
        assert other["priority"] < kind["priority"]
        assert other["node_config"]["InstanceType"] == kind["node_config"]["InstanceType"]


def test_the_head_runs_no_stage_and_the_types_fit_into_the_cluster():
    config = parsed()
    kinds = config["available_node_types"]

    assert kinds["head"]["resources"] == {"CPU": 0}
    assert (
        sum(kind["max_workers"] for name, kind in kinds.items() if name in ("decode", "look")) <= config["max_workers"]
    )


@pytest.fixture
def node(tmp_path) -> Path:
    """A home as on a node, with commands that write down how they are called, and in which environment."""
    home = tmp_path / "ubuntu"
    binaries = home / "nightjar" / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("t0ken")
    for name in ("ray", "nightjar"):
        seen = " ".join(f'"{variable}=${variable}"' for variable in SHARED)
        (binaries / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "{name} $*" {seen} >> {home}/{name}.calls\n')
        (binaries / name).chmod(0o755)
    return home


def run(node: Path, commands: list[str]) -> None:
    """Run commands one by one as the launcher does, each in a shell of its own; installing takes too long here."""
    for command in commands:
        here = command.replace("/home/ubuntu", str(node)).replace("make install", "true")
        environment = {"HOME": str(node), "PATH": "/usr/bin:/bin", "RAY_HEAD_IP": "10.0.0.7"}
        done = subprocess.run(["bash", "-c", here], env=environment, capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, f"{command}: {done.stderr}"


def calls(node: Path, name: str) -> tuple[str, dict[str, str]]:
    call, *environment = (node / f"{name}.calls").read_text().splitlines()
    return call, dict(line.split("=", 1) for line in environment)


@pytest.mark.parametrize("role", ["head", "worker"])
def test_every_node_starts_ray_with_the_shared_settings(node, role):
    config = parsed()
    run(node, config["setup_commands"] + config[f"{role}_start_ray_commands"])
    call, environment = calls(node, "ray")

    assert environment == {
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_object_spilling_directory": f"{node}/spill",
        "NIGHTJAR_HOME": f"{node}/nightjar-home",
    }
    assert call.startswith("ray start --head" if role == "head" else "ray start --address=10.0.0.7:6379")
    assert "--metrics-export-port=8090" in call
    assert ("--dashboard-host=127.0.0.1" in call) == (role == "head")
    assert (node / "spill").is_dir()


def test_models_are_fetched_before_the_night_to_where_they_are_looked_for(node):
    run(node, parsed()["setup_commands"])
    call, environment = calls(node, "nightjar")

    assert call == "nightjar models pull lite"
    assert environment["NIGHTJAR_HOME"] == f"{node}/nightjar-home"


def test_every_node_gets_the_token_and_keeps_it_to_itself(node):
    config = parsed()
    run(node, config["setup_commands"])

    assert config["file_mounts"]["/home/ubuntu/.ray/auth_token"] == "~/.ray/auth_token"
    assert (node / ".ray" / "auth_token").stat().st_mode & 0o077 == 0
    assert "t0ken" not in CLUSTER.read_text("utf-8")


def test_ray_spills_where_the_settings_say(monkeypatch, tmp_path):
    """The variable is read by Ray itself: its name is not ours to misspell."""
    from types import SimpleNamespace

    from ray._private.node import Node

    spill = tmp_path / "spill"
    monkeypatch.setenv("RAY_object_spilling_directory", str(spill))
    node = SimpleNamespace(_ray_params=SimpleNamespace(object_spilling_directory=None), _config={})

    assert str(spill) in Node._get_object_spilling_config(node)
