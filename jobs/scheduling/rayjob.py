"""The cluster of one night on Kubernetes: a KubeRay RayJob that starts, runs what is due, and goes.

Fields as of KubeRay 1.6 (ray.io/v1); token authentication by `authOptions` needs 1.5.1 or later.
https://docs.ray.io/en/latest/cluster/kubernetes/references/api.html
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from jobs.scheduling.cluster import Kubernetes, Pods
from jobs.scheduling.file import Schedule

SETTINGS = "/etc/nightjar"
HOME, SPILL = "/nightjar/home", "/nightjar/spill"
METRICS_PORT = 8080  # where KubeRay exports Ray's Prometheus metrics
IDLE_S = 300
KEEP_S = 900  # how long a finished cluster stays for its logs to be read
USER = 1000
SMALL = {"cpu": "1", "memory": "2Gi"}
HEAD_PORTS = {"gcs-server": 6379, "dashboard": 8265, "client": 10001, "metrics": METRICS_PORT}
SAFE_POD = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
SAFE_CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def ray_job(schedule: Schedule, cluster: Kubernetes) -> dict[str, Any]:
    """Return the RayJob. Lost with its head it is started again, and what was finished is not done again."""
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": cluster.name, "namespace": cluster.namespace, "labels": labels(cluster)},
        "spec": {
            "entrypoint": f"nightjar nightly {SETTINGS}/nightly.toml",
            "submissionMode": "K8sJobMode",
            "submitterPodTemplate": _submitter(cluster),
            "backoffLimit": cluster.retries,
            "activeDeadlineSeconds": cluster.deadline_hours * 3600,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": KEEP_S,
            "rayClusterSpec": _ray_cluster(schedule, cluster),
        },
    }


def labels(cluster: Kubernetes) -> dict[str, str]:
    """Say whose an object is."""
    return {"app.kubernetes.io/name": "nightjar", "app.kubernetes.io/instance": cluster.name}


def resources(amounts: Mapping[str, str]) -> dict[str, Any]:
    """Ask for what may be used, no less: a pod that has all it may use is the last to be evicted."""
    return {"requests": dict(amounts), "limits": dict(amounts)}


def _ray_cluster(schedule: Schedule, cluster: Kubernetes) -> dict[str, Any]:
    groups = {"decode": cluster.decode} | ({"look": cluster.look} if cluster.look else {})
    return {
        "rayVersion": version("ray"),
        "authOptions": {"mode": "token"},  # the operator makes a token for each cluster and hands it to every pod
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {
            "version": "v2",
            "idleTimeoutSeconds": IDLE_S,
            "upscalingMode": "Default",
            "resources": resources(SMALL),
            "securityContext": SAFE_CONTAINER,
        },
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0", "num-gpus": "0", "dashboard-host": "0.0.0.0", **_start()},  # noqa: S104
            "template": _pod(schedule, cluster, cluster.head, HEAD_PORTS, driver=True),
        },
        "workerGroupSpecs": [_group(schedule, cluster, name, pods) for name, pods in groups.items()],
    }


def _group(schedule: Schedule, cluster: Kubernetes, name: str, pods: Pods) -> dict[str, Any]:
    return {
        "groupName": name,
        "replicas": pods.min,
        "minReplicas": pods.min,
        "maxReplicas": pods.max,
        "rayStartParams": {**_start(), "num-cpus": str(pods.cpu), "num-gpus": str(pods.gpus)},
        "template": _pod(schedule, cluster, pods, {"metrics": METRICS_PORT}, driver=False),
    }


def _start() -> dict[str, str]:
    return {"object-spilling-directory": SPILL, "metrics-export-port": str(METRICS_PORT)}


def _pod(
    schedule: Schedule, cluster: Kubernetes, pods: Pods, ports: Mapping[str, int], *, driver: bool
) -> dict[str, Any]:
    """A Ray pod. Models are fetched before Ray starts, so that no worker fetches them in the night."""
    amounts = {"cpu": str(pods.cpu), "memory": pods.memory}
    amounts |= {"nvidia.com/gpu": str(pods.gpus)} if pods.gpus else {}
    ray = {
        **_container(cluster, "ray", schedule.variables if driver else ()),
        "ports": [{"name": name, "containerPort": port} for name, port in ports.items()],
        "resources": resources(amounts),
    }
    fetch = {
        **_container(cluster, "models"),
        "command": ["nightjar", "models", "pull", schedule.bundle],
        "resources": resources(SMALL),
    }
    mounts = [{"name": "home", "mountPath": HOME}, {"name": "spill", "mountPath": SPILL}]
    settings = [{"name": "settings", "mountPath": SETTINGS, "readOnly": True}] if driver else []
    return {
        "metadata": {"labels": labels(cluster), "annotations": _annotations(driver=driver)},
        "spec": {
            "serviceAccountName": cluster.service_account,
            "automountServiceAccountToken": driver,  # the autoscaler beside the driver talks to Kubernetes
            "securityContext": SAFE_POD,
            "initContainers": [{**fetch, "volumeMounts": mounts[:1]}],
            "containers": [{**ray, "volumeMounts": [*mounts, *settings]}],
            "volumes": _volumes(cluster, driver=driver),
            "restartPolicy": "Never",  # the autoscaler replaces pods; one that came back by itself would confuse it
            "terminationGracePeriodSeconds": 60,
            **({"nodeSelector": dict(pods.node_selector)} if pods.node_selector else {}),
            **({"tolerations": [dict(row) for row in pods.tolerations]} if pods.tolerations else {}),
        },
    }


def _container(cluster: Kubernetes, name: str, variables: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "name": name,
        "image": cluster.image,
        "env": _environment(cluster, variables),
        "securityContext": SAFE_CONTAINER,
    }


def _environment(cluster: Kubernetes, variables: tuple[str, ...]) -> list[dict[str, Any]]:
    """Plain settings by value, secrets by the name of their Secret; those of the webhook for the driver alone."""
    plain = {"NIGHTJAR_HOME": HOME, "RAY_USAGE_STATS_ENABLED": "0", **cluster.env}
    secret = dict.fromkeys((*variables, *cluster.secret_env))
    return [
        *({"name": name, "value": value} for name, value in plain.items()),
        *({"name": name, "valueFrom": {"secretKeyRef": {"name": cluster.secret, "key": name}}} for name in secret),
    ]


def _annotations(*, driver: bool) -> dict[str, str]:
    scrape = {"prometheus.io/scrape": "true", "prometheus.io/port": str(METRICS_PORT), "prometheus.io/path": "/metrics"}
    return scrape | ({"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"} if driver else {})


def _volumes(cluster: Kubernetes, *, driver: bool) -> list[dict[str, Any]]:
    disks = [
        {"name": "home", "emptyDir": {"sizeLimit": cluster.home}},
        {"name": "spill", "emptyDir": {"sizeLimit": cluster.spill}},
    ]
    return [*disks, {"name": "settings", "configMap": {"name": cluster.name}}] if driver else disks


def _submitter(cluster: Kubernetes) -> dict[str, Any]:
    """The pod that runs `ray job submit`; the operator adds the command and the token."""
    container = {"name": "submit", "image": cluster.image, "resources": resources(SMALL)}
    return {
        "metadata": {"labels": labels(cluster)},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": SAFE_POD,
            "containers": [{**container, "securityContext": SAFE_CONTAINER}],
        },
    }
