"""The Kubernetes manifests: fields that exist, no secret, no right too many, and a starter that keeps runs apart."""

from __future__ import annotations

import copy
import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from jobs.schedule import EXAMPLE
from jobs.scheduling.file import Schedule, parse_schedule
from jobs.scheduling.kubernetes import as_yaml, manifests
from model_registry.errors import UsageError

FIELDS = json.loads((Path(__file__).parents[1] / "data" / "kubernetes_fields.json").read_text("utf-8"))
KINDS = ("ServiceAccount", "Role", "RoleBinding", "ConfigMap", "CronJob", "RayJob")
VALIDATORS = {kind: jsonschema.Draft7Validator({**FIELDS, "$ref": f"#/definitions/{kind}"}) for kind in KINDS}
TEXT = EXAMPLE.read_text("utf-8")


def schedule(**changes: Any) -> Schedule:
    """The example with other values in [kubernetes]; None takes a key away."""
    data = tomllib.loads(TEXT)
    table = data["kubernetes"] | changes
    data["kubernetes"] = {name: value for name, value in table.items() if value is not None}
    return parse_schedule(data)


def objects(plan: Schedule, text: str = TEXT) -> dict[str, dict]:
    """As a cluster reads them, by kind; the RayJob is in the ConfigMap."""
    found = {found["kind"]: found for found in yaml.safe_load_all(as_yaml(manifests(plan, text)))}
    found["RayJob"] = yaml.safe_load(found["ConfigMap"]["data"]["rayjob.yaml"])
    return found


def validate(found: dict) -> None:
    VALIDATORS[found["kind"]].validate(found)


@pytest.fixture
def found() -> dict[str, dict]:
    return objects(schedule())


def test_every_object_has_only_fields_that_exist(found):
    jsonschema.Draft7Validator.check_schema(FIELDS)
    assert set(found) == set(KINDS)
    for one in found.values():
        validate(one)


def tables_in(value: Any, path: tuple = ()) -> list[tuple]:
    """The path of every object of named fields below a value; labels, resources and the like take any name."""
    free = {"labels", "annotations", "nodeSelector", "requests", "limits", "rayStartParams", "data"}
    if isinstance(value, list):
        return [found for index, one in enumerate(value) for found in tables_in(one, (*path, index))]
    if not isinstance(value, dict) or (path and path[-1] in free):
        return []
    return [path, *(found for name, one in value.items() for found in tables_in(one, (*path, name)))]


def test_a_misspelt_field_is_refused_at_every_level(found):
    tried = 0
    for one in found.values():
        for path in tables_in(one):
            broken = copy.deepcopy(one)
            table = broken
            for step in path:
                table = table[step]
            table["tolerationz"] = []
            with pytest.raises(jsonschema.ValidationError, match="tolerationz"):
                validate(broken)
            tried += 1

    assert tried > 100


@pytest.mark.parametrize("name", ["backoffLimits", "entryPoint", "TTLSecondsAfterFinished"])
def test_a_misspelt_field_of_the_job_is_refused(found, name):
    found["RayJob"]["spec"][name] = 1
    with pytest.raises(jsonschema.ValidationError, match=name):
        validate(found["RayJob"])


def test_the_clock_is_the_schedules(found):
    spec = found["CronJob"]["spec"]

    assert (spec["schedule"], spec["timeZone"]) == ("30 2,3,4,5 * * *", "Asia/Shanghai")
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] > 0


def test_the_cluster_reads_the_very_file(found):
    assert found["ConfigMap"]["data"]["nightly.toml"] == TEXT
    assert found["RayJob"]["spec"]["entrypoint"] == "nightjar nightly /etc/nightjar/nightly.toml"
    mounts = found["RayJob"]["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0][
        "volumeMounts"
    ]
    assert {"name": "settings", "mountPath": "/etc/nightjar", "readOnly": True} in mounts


def test_a_run_may_be_lost_and_ends_some_day(found):
    spec = found["RayJob"]["spec"]

    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (2, 20 * 3600)
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["ttlSecondsAfterFinished"] > 0


def test_workers_scale_and_the_head_runs_no_stage(found):
    cluster = found["RayJob"]["spec"]["rayClusterSpec"]
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}

    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert [(group["minReplicas"], group["maxReplicas"]) for group in groups.values()] == [(1, 40), (1, 8)]
    assert groups["look"]["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert groups["decode"]["template"]["spec"]["tolerations"][0]["key"] == "example.com/spot"
    assert "tolerations" not in cluster["headGroupSpec"]["template"]["spec"], "the head does not run on spot machines"


def pods(found: dict[str, dict]) -> list[dict]:
    job = found["RayJob"]["spec"]
    templates = [job["submitterPodTemplate"], job["rayClusterSpec"]["headGroupSpec"]["template"]]
    templates += [group["template"] for group in job["rayClusterSpec"]["workerGroupSpecs"]]
    templates.append(found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"])
    return [template["spec"] for template in templates]


def containers(found: dict[str, dict]) -> list[dict]:
    return [one for pod in pods(found) for one in (*pod["containers"], *pod.get("initContainers", ()))]


def test_no_pod_runs_as_root_and_each_asks_for_what_it_may_use(found):
    assert len(pods(found)) == 5
    assert all(pod["securityContext"]["runAsNonRoot"] for pod in pods(found))
    for one in containers(found):
        assert one["resources"]["requests"] == one["resources"]["limits"]
        assert one["securityContext"] | {"readOnlyRootFilesystem": True} == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }


def test_ray_spills_to_a_volume_exports_metrics_and_wants_a_token(found):
    cluster = found["RayJob"]["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod, start = group["template"]["spec"], group["rayStartParams"]
        places = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        disks = {volume["name"]: volume for volume in pod["volumes"]}
        ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}

        assert disks[places[start["object-spilling-directory"]]]["emptyDir"] == {"sizeLimit": "200Gi"}
        assert group["template"]["metadata"]["annotations"]["prometheus.io/port"] == start["metrics-export-port"]
        assert str(ports["metrics"]) == start["metrics-export-port"]


def test_every_node_has_its_models_before_ray_starts(found):
    cluster = found["RayJob"]["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        (fetch,) = group["template"]["spec"]["initContainers"]
        home = next(one["value"] for one in fetch["env"] if one["name"] == "NIGHTJAR_HOME")

        assert fetch["command"] == ["nightjar", "models", "pull", "lite"]
        assert home in [mount["mountPath"] for mount in fetch["volumeMounts"]]


def variables(container: dict) -> dict[str, dict]:
    return {one["name"]: one.get("valueFrom", one.get("value")) for one in container.get("env", ())}


def test_secrets_come_by_name_and_those_of_the_webhook_to_the_driver_alone(found):
    head, *workers = [pod["containers"][0] for pod in pods(found)[1:4]]
    webhook = {"secretKeyRef": {"name": "nightjar", "key": "NIGHTJAR_WEBHOOK"}}

    assert variables(head)["NIGHTJAR_WEBHOOK"] == webhook
    for one in workers:
        assert "NIGHTJAR_WEBHOOK" not in variables(one)
        assert variables(one)["AWS_SECRET_ACCESS_KEY"]["secretKeyRef"]["key"] == "AWS_SECRET_ACCESS_KEY"


def test_the_starter_may_create_a_job_and_touch_only_its_own(found):
    create, own = found["Role"]["rules"]

    assert create == {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create"]}
    assert own["resourceNames"] == [found["RayJob"]["metadata"]["name"]]
    assert set(own["verbs"]) == {"get", "list", "watch", "delete"}
    assert found["RoleBinding"]["subjects"][0]["name"] == found["ServiceAccount"]["metadata"]["name"]
    assert (
        found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["serviceAccountName"]
        == "nightjar-scheduler"
    )


@pytest.mark.parametrize(
    ("state", "called"),
    [
        ("", ["get", "create"]),
        ("nightjar/Complete", ["get", "delete", "create"]),
        ("nightjar/Failed", ["get", "delete", "create"]),
        ("nightjar/", ["get"]),
        ("nightjar/Running", ["get"]),
        ("nightjar/Retrying", ["get"]),
    ],
)
def test_the_starter_with_a_kubectl_that_writes_down_its_calls(found, tmp_path, state, called):
    script = tmp_path / "start.sh"
    script.write_text(found["ConfigMap"]["data"]["start.sh"])
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n[ "$1" = get ] && printf %s "{state}" || true\n')
    kubectl.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(["sh", str(script)], env={"PATH": path}, capture_output=True, text=True, timeout=20)
    calls = (tmp_path / "calls").read_text().splitlines()

    assert done.returncode == 0, done.stderr
    assert [call.split()[0] for call in calls] == called
    assert ("nothing started" in done.stdout) == (called == ["get"])


def test_a_kubectl_that_fails_fails_the_starter(found, tmp_path):
    script = tmp_path / "start.sh"
    script.write_text(found["ConfigMap"]["data"]["start.sh"])
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\nexit 1\n')
    kubectl.chmod(0o755)
    done = subprocess.run(
        ["sh", str(script)], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, timeout=20
    )

    assert done.returncode != 0
    assert (tmp_path / "calls").read_text().count("\n") == 1


def test_without_gpus_there_is_one_group():
    found = objects(schedule(look=None))

    assert [group["groupName"] for group in found["RayJob"]["spec"]["rayClusterSpec"]["workerGroupSpecs"]] == ["decode"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"secret": None, "secret_env": None},
            "kubernetes lacks secret, wanted the name of a Secret that holds NIGHTJAR_WEB",
        ),
        ({"secret": None}, "kubernetes: secret_env is ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] without secret"),
        ({"env": {"AWS_SECRET_ACCESS_KEY": "x"}}, "kubernetes: env has 'AWS_SECRET_ACCESS_KEY', wanted nothing secret"),
        ({"env": {"A B": "x"}}, "kubernetes: env has 'A B', wanted names of environment variables"),
        ({"image": None}, "kubernetes lacks image, wanted an image with its tag or digest"),
        ({"imagge": "x"}, "kubernetes has 'imagge'; allowed: name, namespace, image"),
        ({"namespace": "Night Jar"}, "kubernetes: namespace is 'Night Jar', wanted a name of small letters"),
        ({"spill": "200 GB"}, "kubernetes: spill is '200 GB', wanted an amount such as '64Gi'"),
        ({"retries": -1}, "kubernetes: retries is -1, wanted a whole number from 0 to 10"),
        ({"head": {"cpu": 4}}, "kubernetes.head lacks memory, wanted an amount such as '64Gi'"),
        ({"head": {"cpu": True, "memory": "1Gi"}}, "kubernetes.head: cpu is True, wanted a whole number from 1 to 512"),
        (
            {"decode": {"cpu": 1, "memory": "1Gi", "min": 3, "max": 2}},
            "kubernetes.decode: min is 3, wanted at most max, 2",
        ),
        (
            {"decode": {"cpu": 1, "memory": "1Gi", "tolerations": [{"key": "spot", "effect": "Never"}]}},
            "kubernetes.decode: toleration 1: effect is 'Never', wanted one of NoSchedule, PreferNoSchedule, NoExecute",
        ),
    ],
)
def test_a_fault_is_one_sentence(changes, said):
    with pytest.raises(UsageError) as refused:
        manifests(schedule(**changes), TEXT)

    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_a_schedule_without_a_cluster_has_no_manifests():
    data = tomllib.loads(TEXT)
    del data["kubernetes"]
    with pytest.raises(UsageError, match=r"lacks the table \[kubernetes\]"):
        manifests(parse_schedule(data), TEXT)
