"""The application on Ray Serve: one ingress, and a deployment a model where models live apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_registry.model import ModelRef, ModelSpec
from pipelines.serving.api.metrics import COUNTED_IN
from pipelines.serving.contract import QUEUE_SIZE
from pipelines.serving.ingress import Ingress, Machine, Parts
from pipelines.serving.placement import Placement, Room, apart
from pipelines.serving.proxy import CALLBACK
from pipelines.serving.replica import HEALTH_S, ModelReplica, replica_options
from pipelines.serving.service import APP, Service

INGRESS = "ingress"
MOST_REQUESTS = 512  # open at one ingress replica; the door says no long before, in words
MODEL_SHARE = 0.5  # of the cores, for models that live apart; the ingress decodes on the rest
WAITING_FOR_DECODERS = 2  # workers beside those that keep the cores busy
INGRESS_GB = 1.5  # without models: Python, torch, Arrow, decode children
IMPORT_PATH = "pipelines.serving.application:app"
# Each measured on two cores with a bare ingress and a body of 60 kB: together they take its p50 from 10.9 to 5.4 ms.
ENVIRONMENT = {
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(64 << 20),
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1000",
    "RAY_SERVE_LOG_TO_STDERR": "0",
}
# Ten times a second unless told otherwise: with what it sets off in Ray's other processes 5 % of a core, for ever.
ENVIRONMENT |= {"RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.3"}
ENVIRONMENT |= CALLBACK  # a request whose replica died gets a 503 that says when to try again


def direct_ingress(block: range) -> dict[str, str]:
    """What lets the ingress replicas of one machine listen by themselves, on all ports of a block but the first.

    They answer callers there: they get no less of the cores than whatever else runs.
    """
    if not block:
        return {}
    return {
        "RAY_SERVE_ENABLE_DIRECT_INGRESS": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(block[1]),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(block[-1]),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",  # no load balancer has to notice first
        "RAY_worker_niceness": "0",  # else 15
    }


LOGGING = {"enable_access_log": False, "log_level": "WARNING"}


@dataclass(frozen=True)
class Layout:
    """How a service lies on a cluster: what `application` deploys."""

    placement: Placement
    replicas: int  # of the ingress
    apart: tuple[ModelSpec, ...]
    model_cpus: float  # of one replica of a model that lives apart
    ingress_cpus: float
    ingress_gpus: float
    gpu_share: float  # of what a spec asks for
    ingress_bytes: int
    machine: Machine

    @classmethod
    def of(cls, service: Service, specs: Sequence[ModelSpec], room: Room, app: str = APP) -> Layout:
        """Share out what there is; raises NightjarError where it is too little for one replica of each."""
        placement = service.placement.on(room)
        alone = tuple(apart(specs, placement))
        beside = [spec for spec in specs if spec not in alone]
        cores = max(1, int(room.cpus))
        ingress_bytes = int(INGRESS_GB * 1e9) + sum(spec.memory_mb << 20 for spec in beside)
        a_core = service.shared and not alone and not room.gpus
        replicas = service.replicas or (_that_fit(service, room, ingress_bytes) if a_core else 1)
        wanted = sum(spec.gpus for spec in alone) + replicas * sum(spec.gpus for spec in beside)
        share = min(1.0, room.gpus / wanted) if wanted else 0.0  # of what the specs ask for: all fit one GPU, if slowly
        gpus = _hundredths(min(1.0, share * sum(spec.gpus for spec in beside)))
        layout = cls(
            placement,
            replicas,
            alone,
            model_cpus=round(min(1.0, MODEL_SHARE * room.cpus / max(1, len(alone) * service.most_replicas)), 2),
            ingress_cpus=round(min(1.0, 0.5 * room.cpus / replicas), 2),
            ingress_gpus=gpus,
            gpu_share=share,
            ingress_bytes=ingress_bytes,
            machine=Machine(
                placement,
                lanes=1 if alone else cores if service.shared else max(1, cores // replicas),
                workers=service.workers or cores // replicas + WAITING_FOR_DECODERS,
                queue_size=math.ceil(QUEUE_SIZE / replicas) if service.shared else QUEUE_SIZE,
                on_gpu=bool(gpus),
                app=app,
            ),
        )
        layout._demand(room)
        return layout

    def gpus(self, spec: ModelSpec) -> float:
        """What a replica of a model that lives apart gets."""
        return _hundredths(self.gpu_share * spec.gpus)

    def _demand(self, room: Room) -> None:
        room.demand(
            cpus=self.replicas * self.ingress_cpus + len(self.apart) * self.model_cpus,
            memory_bytes=self.replicas * self.ingress_bytes + sum(spec.memory_mb << 20 for spec in self.apart),
        )


def _that_fit(service: Service, room: Room, each_bytes: int) -> int:
    """One a core, if there is memory for as many: a replica's Python computes on one core at a time."""
    needed = each_bytes * (2 if service.tried else 1)  # a challenger's models lie beside the champion's
    return int(max(1, min(room.cpus, room.memory_bytes // needed)))


def _hundredths(share: float) -> float:
    """Rounded down, so that shares add up to no more than there is."""
    return math.floor(share * 100) / 100


def application(service: Service, room: Room, app: str = APP, parts: Parts | None = None) -> Any:
    """Bind the deployments. Models are pinned here once, so that all replicas start with the same versions."""
    from ray import serve

    parts = parts or Parts()
    pinned = {ref.name: ref for ref in parts.plan(service).bundle.models}
    layout = Layout.of(service, [ref.spec for ref in pinned.values()], room, app)
    models = [_model(service, layout, pinned[spec.name]) for spec in layout.apart]
    ingress = serve.deployment(serve.ingress()(Ingress)).options(
        name=INGRESS,
        num_replicas=layout.replicas,
        ray_actor_options={
            "num_cpus": layout.ingress_cpus,
            "num_gpus": layout.ingress_gpus,
            "memory": layout.ingress_bytes,
            **({"runtime_env": {"env_vars": {COUNTED_IN: service.shared}}} if service.shared else {}),
        },
        max_ongoing_requests=MOST_REQUESTS,
        max_queued_requests=MOST_REQUESTS,
        health_check_period_s=HEALTH_S,
        graceful_shutdown_timeout_s=service.drain_s,
        graceful_shutdown_wait_loop_s=0.2,
    )
    return ingress.bind(service, layout.machine, parts, *models)


def _model(service: Service, layout: Layout, ref: ModelRef) -> Any:
    from ray import serve

    gpus, replicas = layout.gpus(ref.spec), (1, service.most_replicas)
    options = replica_options(ref.spec, cpus=layout.model_cpus, gpus=gpus, replicas=replicas)
    replica = serve.deployment(ModelReplica).options(name=ref.name, **options)
    return replica.bind(ref, "cuda" if gpus else "cpu", max(1, round(layout.model_cpus)))


def app(args: Mapping[str, Any]) -> Any:
    """What `serve deploy` imports; `args` are those of the config file."""
    import ray

    return application(Service.of(args), Room.of(ray.cluster_resources()))


def config(service: Service, host: str, port: int) -> dict[str, Any]:
    """The config file for `serve deploy`: the same application, built on the cluster."""
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": host, "port": port},
        "logging_config": LOGGING,
        "applications": [
            {
                "name": APP,
                "route_prefix": "/",
                "import_path": IMPORT_PATH,
                "runtime_env": {"env_vars": ENVIRONMENT},
                "args": service.args,
            }
        ],
    }
