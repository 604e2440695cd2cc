"""cluster.yaml is what Ray's own launcher accepts."""

from pathlib import Path

import pytest
import yaml

CLUSTER = Path(__file__).parents[1] / "cluster.yaml"


def validated(config: dict) -> dict:
    from ray.autoscaler._private.util import prepare_config, validate_config

    whole = prepare_config(config)
    validate_config(whole)
    return whole


def test_ray_accepts_the_cluster():
    whole = validated(yaml.safe_load(CLUSTER.read_text("utf-8")))

    assert whole["head_node_type"] in whole["available_node_types"]
    assert {"decode", "look"} < set(whole["available_node_types"])


def test_ray_refuses_a_cluster_with_a_misspelt_key():
    config = yaml.safe_load(CLUSTER.read_text("utf-8"))
    config["max_wokers"] = 3

    with pytest.raises(Exception, match="max_wokers"):
        validated(config)


def test_every_node_starts_ray_with_authentication():
    config = yaml.safe_load(CLUSTER.read_text("utf-8"))
    commands = config["head_start_ray_commands"] + config["worker_start_ray_commands"]

    starts = [command for command in commands if "ray start" in command]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in command for command in starts)
