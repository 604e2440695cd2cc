"""A schedule as Kubernetes manifests: a CronJob by the schedule's clock that starts one RayJob at a time.

KubeRay has a RayCronJob of its own: alpha as of 1.6, behind a feature gate, and without a word on what happens while
the last run still goes. A CronJob of batch/v1 has been stable since Kubernetes 1.21, with time zones since 1.27, and
the name of the RayJob, always the same, keeps two runs apart.
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
"""

from __future__ import annotations

from typing import Any

import yaml

from jobs.scheduling.cluster import Kubernetes
from jobs.scheduling.file import Schedule
from jobs.scheduling.rayjob import SAFE_CONTAINER, SAFE_POD, SETTINGS, labels, ray_job, resources
from model_registry.errors import UsageError

LATEST_START_S = 3600  # a run that the control plane could not start in time is left to the next
START = """\
# Start the night unless the last one still runs. A finished one makes room for the next.
set -eu
state=$(kubectl get rayjobs.ray.io {name} --ignore-not-found \\
    --output jsonpath='{{.metadata.name}}/{{.status.jobDeploymentStatus}}')
case "$state" in
    "") ;;
    */Complete | */Failed | */ValidationFailed) kubectl delete rayjobs.ray.io {name} --wait --timeout 300s ;;
    *) echo "the last run goes on ($state): nothing started"; exit 0 ;;
esac
kubectl create --filename {settings}/rayjob.yaml
"""


def manifests(schedule: Schedule, text: str) -> list[dict[str, Any]]:
    """Return the objects to apply; `text` is the schedule's file, which the cluster reads too."""
    cluster = schedule.kubernetes
    if cluster is None:
        raise UsageError("the schedule lacks the table [kubernetes]; `nightjar schedule example` shows one")
    if schedule.variables and not cluster.secret:
        variables = ", ".join(schedule.variables)
        raise UsageError(f"kubernetes lacks secret, wanted the name of a Secret that holds {variables}")
    return [*_rights(cluster), _settings(schedule, cluster, text), _cron_job(schedule, cluster)]


def as_yaml(objects: list[dict[str, Any]]) -> str:
    """One YAML document an object; texts of several lines stay readable."""
    return yaml.dump_all(objects, Dumper=_Readable, sort_keys=False, width=120, allow_unicode=True)


def cron_hours(schedule: Schedule) -> str:
    """Return minute, hours and days as cron wants them: the time itself and the hours in which to look again."""
    at = schedule.timetable.at
    hours = [(at.hour + later) % 24 for later in range(schedule.retry_hours + 1)]
    return f"{at.minute} {','.join(map(str, hours))} * * *"


class _Readable(yaml.SafeDumper):
    """Lines as lines, nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)


def _scheduler(cluster: Kubernetes) -> str:
    return f"{cluster.name}-scheduler"


def _meta(cluster: Kubernetes, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": cluster.namespace, "labels": labels(cluster)}


def _rights(cluster: Kubernetes) -> list[dict[str, Any]]:
    """Who may create a RayJob, and look at, wait for and delete the one of this name: nothing else."""
    name = _scheduler(cluster)
    rays = {"apiGroups": ["ray.io"], "resources": ["rayjobs"]}
    own = {**rays, "resourceNames": [cluster.name], "verbs": ["get", "list", "watch", "delete"]}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": cluster.namespace}
    rbac = "rbac.authorization.k8s.io/v1"
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": _meta(cluster, name),
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": rbac,
            "kind": "Role",
            "metadata": _meta(cluster, name),
            "rules": [{**rays, "verbs": ["create"]}, own],
        },
        {
            "apiVersion": rbac,
            "kind": "RoleBinding",
            "metadata": _meta(cluster, name),
            "roleRef": role,
            "subjects": [subject],
        },
    ]


def _settings(schedule: Schedule, cluster: Kubernetes, text: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _meta(cluster, cluster.name),
        "data": {
            "nightly.toml": text,
            "rayjob.yaml": as_yaml([ray_job(schedule, cluster)]),
            "start.sh": START.format(name=cluster.name, settings=SETTINGS),
        },
    }


def _cron_job(schedule: Schedule, cluster: Kubernetes) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": _meta(cluster, cluster.name),
        "spec": {
            "schedule": cron_hours(schedule),
            "timeZone": schedule.timetable.zone.key,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": LATEST_START_S,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 3,
                    "activeDeadlineSeconds": 900,
                    "template": {"metadata": {"labels": labels(cluster)}, "spec": _starter(cluster)},
                }
            },
        },
    }


def _starter(cluster: Kubernetes) -> dict[str, Any]:
    """The pod that starts the night: a shell, kubectl and no other right than the role's."""
    container = {
        "name": "start",
        "image": cluster.kubectl_image,
        "command": ["sh", f"{SETTINGS}/start.sh"],
        "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108  kubectl keeps its cache there
        "resources": resources({"cpu": "100m", "memory": "128Mi"}),
        "securityContext": {**SAFE_CONTAINER, "readOnlyRootFilesystem": True},
        "volumeMounts": [
            {"name": "settings", "mountPath": SETTINGS, "readOnly": True},
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108
        ],
    }
    return {
        "restartPolicy": "Never",
        "serviceAccountName": _scheduler(cluster),
        "automountServiceAccountToken": True,
        "securityContext": SAFE_POD,
        "containers": [container],
        "volumes": [
            {"name": "settings", "configMap": {"name": cluster.name}},
            {"name": "scratch", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }
