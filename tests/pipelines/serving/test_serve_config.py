"""The file for `serve deploy`: Ray's own schema takes it for any service, and a cluster that gets it answers."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from benchmarks.nights.cluster import Cluster
from benchmarks.ports import free_port
from jobs.cli import parse
from jobs.serve import run
from model_registry.bundles import PinnedBundle, bundle_named, pin
from pipelines.serving.application import ENVIRONMENT, application, config
from pipelines.serving.placement import Placement, Room
from pipelines.serving.service import Service
from tests.serving_parts import PARTS
from tests.serving_process import replicas

SERVICES = {
    "as it comes": Service(),
    "a large one": Service(bundle="clip-l14", placement=Placement.APART, replicas=2, most_replicas=4, workers=8),
    "all its files": Service(policy="/strict.toml", bank="/bank", lexicons=("/words",), keys="/keys.json", videos="/q"),
    "limits of the door": Service(door={"allow": ["https://media.example.com"], "most_texts": 8}),
    "a trial": Service(challenger="challenger", challenger_policy="/new.toml", shadow=0.5),
    "less of it": Service(skip=("speech", "ocr", "text"), interval_ms=500, offline=True, reload_s=1.5, drain_s=5.0),
}
UP_S = 120.0


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_rays_schema_takes_it_and_it_names_the_same_service(service: Service) -> None:
    from ray.serve.schema import ServeDeploySchema

    written = yaml.safe_load(yaml.safe_dump(config(service, "0.0.0.0", 80)))
    schema = ServeDeploySchema.model_validate(written)
    [app] = schema.applications
    assert Service.of(app.args) == service
    assert schema.model_dump(exclude_unset=True)["http_options"] == {"host": "0.0.0.0", "port": 80}
    assert app.runtime_env["env_vars"] == ENVIRONMENT


def test_ray_would_refuse_a_file_with_a_slip_in_it() -> None:
    """So that the test above can fail."""
    from pydantic import ValidationError
    from ray.serve.schema import ServeDeploySchema

    slip = config(Service(), "127.0.0.1", 8000)
    slip["applications"][0]["import_path"] = "no path at all"
    with pytest.raises(ValidationError, match="import_path"):
        ServeDeploySchema.model_validate(slip)


def test_each_deployment_has_options_that_ray_takes(tmp_path: Path) -> None:
    (tmp_path / "versions").write_text("1")
    service = Service(policy=str(tmp_path / "versions"), placement=Placement.APART, most_replicas=3)
    bound = application(service, Room(8.0, gpus=1.0), parts=PARTS)
    models = [each for each in bound._bound_deployment.init_args if hasattr(each, "_bound_deployment")]
    found = {each._bound_deployment.name: each._bound_deployment._deployment_config for each in (bound, *models)}
    assert set(found) == {"ingress", "tower", "frame_head"}
    for name in ("tower", "frame_head"):
        assert (found[name].autoscaling_config.min_replicas, found[name].autoscaling_config.max_replicas) == (1, 3)


@pytest.fixture(scope="module")
def dashboard() -> int:
    return free_port()


@pytest.fixture(scope="module")
def cluster(dashboard: int) -> Iterator[Cluster]:
    """A head with its dashboard, which takes what is deployed, and with the switches of the file where Ray starts."""
    options = ["--include-dashboard", "true", "--dashboard-host", "127.0.0.1", "--dashboard-port", str(dashboard)]
    with Cluster(ENVIRONMENT, head_cpus=2, head_options=options) as nodes:
        yield nodes


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    data, kind = (json.dumps(body).encode() if body else None), {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, kind), timeout=60) as answer:
        return json.loads(answer.read())


def deploy(file: Path, dashboard: int, cluster: Cluster) -> None:
    command = [Path(sys.executable).with_name("serve"), "deploy", file, "--address", f"http://127.0.0.1:{dashboard}"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **cluster.environment}, timeout=120)


def wait_until_running(dashboard: int) -> None:
    end = time.monotonic() + UP_S
    while True:
        [app] = ask(f"http://127.0.0.1:{dashboard}/api/serve/applications/")["applications"].values()
        if app["status"] == "RUNNING":
            return
        assert app["status"] in ("DEPLOYING", "NOT_STARTED"), app["message"]
        assert time.monotonic() < end, app
        time.sleep(0.2)


def test_a_cluster_that_gets_the_file_answers(
    lite: PinnedBundle, cluster: Cluster, dashboard: int, tmp_path: Path
) -> None:
    file, port = tmp_path / "serve.yaml", free_port()
    options = ["--skip", "speech", "ocr", "text", "--placement", "apart", "--port", str(port), "--config", str(file)]
    assert run(parse(["serve", *options])) == 0
    deploy(file, dashboard, cluster)
    wait_until_running(dashboard)

    out, url = io.BytesIO(), f"http://127.0.0.1:{port}"
    Image.fromarray(np.random.default_rng(7).integers(0, 255, (270, 480, 3), np.uint8)).save(out, "JPEG")
    answer = ask(f"{url}/v1/check", {"image": base64.b64encode(out.getvalue()).decode()})
    seeing = pin(bundle_named("lite").without("speech", "ocr", "text"))
    assert ask(f"{url}/readyz")["bundle"] == answer["bundle"] == seeing.id
    assert {seeing.tower.name, *(head.name for head in seeing.heads)} <= set(answer["took_ms"])
    assert answer["complete"]

    began, body = kill_in_the_middle_of_a_request(port, cluster)
    assert began.startswith("HTTP/1.1 503 ")
    assert "retry-after: 1" in began.split("\r\n")
    assert json.loads(body)["error"]["code"] == "replica_lost"
    assert ask(f"{url}/readyz")["bundle"] == seeing.id  # it waits for the next replica


def kill_in_the_middle_of_a_request(port: int, cluster: Cluster) -> list[str]:
    """What somebody gets whose body is half sent when the ingress is killed: the head and the body of the answer."""
    with socket.create_connection(("127.0.0.1", port), 60) as caller:
        head = "POST /v1/check HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        caller.sendall(head.encode() + b"{")
        time.sleep(1)
        [victim] = replicas("ingress", cluster.processes())
        victim.kill()
        answer = b""
        while not answer.endswith(b"}}") and (more := caller.recv(4096)):
            answer += more
    return answer.decode().split("\r\n\r\n")
