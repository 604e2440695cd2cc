"""A session: workers or Ray up, memory watched, the MLflow run written, everything down again."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from model_registry import store
from model_registry.errors import NightjarError
from model_registry.reading import one_line
from pipelines.local.pool import kept
from pipelines.run import cluster_resources, on_ray

if TYPE_CHECKING:
    from mlflow.entities import Run

EXPERIMENT = "nightjar"
LOCAL_STORE_BYTES = 2 << 30
NVIDIA = Path("/proc/driver/nvidia/gpus")
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_DATA_LOGGING_CONFIG": str(Path(__file__).with_name("ray_data_logging.yaml")),
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # Ray Data's own actors trip an error line of Ray's on every start (#53727)
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def wants_ray() -> bool:
    """Whether a cluster is named or joined, or there are GPUs to share out."""
    return bool(os.environ.get("RAY_ADDRESS")) or on_ray() or NVIDIA.exists()


def ahead() -> AbstractContextManager[None]:
    """Let a worker of this machine get ready while a job is still being prepared."""
    return nullcontext() if wants_ray() else kept(started_ahead=True)


@contextmanager
def workers() -> Iterator[Mapping[str, float]]:
    """Let work be done by a cluster where RAY_ADDRESS names one, else by this machine alone; yields what there is.

    A local Ray is started where GPUs have to be shared out, and for RAY_ADDRESS=local. Without one nothing is started
    that the work does not need: Ray's own processes cost a small machine as much as a hundred short videos do.
    """
    if wants_ray():
        with ray_up() as resources:
            yield resources
    else:
        with kept():
            yield {"CPU": float(len(os.sched_getaffinity(0))), "memory": float(psutil.virtual_memory().available)}


@contextmanager
def ray_up(cpus: int | None = None) -> Iterator[Mapping[str, float]]:
    """Join the cluster that RAY_ADDRESS names, or start one on this machine for `local`; yields what it has.

    A local one leaves nothing behind: no dashboard, no usage report, its folder removed.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    joins = os.environ.get("RAY_ADDRESS", "local") != "local" or ray.is_initialized()
    folder = None if joins else tempfile.mkdtemp(prefix="nightjar-")
    try:
        if not ray.is_initialized():
            with _quiet_stderr():
                ray.init(**({"address": "auto"} if folder is None else _local(folder, cpus)), **_LOGGING)
        yield cluster_resources()
    finally:
        if folder:
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


_LOGGING: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}


def _local(folder: str, cpus: int | None) -> dict[str, Any]:
    memory = min(LOCAL_STORE_BYTES, psutil.virtual_memory().total // 4)
    return {
        "num_cpus": cpus or os.cpu_count(),
        "object_store_memory": memory,
        "include_dashboard": False,
        "_temp_dir": folder,
    }


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keep the C++ side from announcing its log level; what goes wrong is raised in Python."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class PeakMemory:
    """The highest memory of this process and all it started, sampled while a block runs.

    Proportional set size, so that pages that processes share count once.
    """

    def __init__(self, every_s: float = 0.5) -> None:
        self.every_s = every_s
        self.peak_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self.every_s):
            self.peak_bytes = max(self.peak_bytes, tree_bytes())


def tree_bytes() -> int:
    """Sum the proportional set size of this process and its descendants."""
    here = psutil.Process()
    total = 0
    for process in [here, *here.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue  # it ended meanwhile
    return total


def log_run(job: str, params: Mapping[str, Any], metrics: Mapping[str, float], tags: Mapping[str, str]) -> str:
    """Write one finished run to MLflow and return its id; raises NightjarError where the store cannot be reached."""
    client = store.connect()
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.utils.time import get_current_time_millis

    now = get_current_time_millis()
    try:
        run = client.create_run(store.experiment_id(client, EXPERIMENT), run_name=job)
        client.log_batch(
            run.info.run_id,
            metrics=[Metric(name, float(value), now, 0) for name, value in metrics.items()],
            params=[Param(name, str(value)[:500]) for name, value in params.items()],
            tags=[RunTag(name, str(value)) for name, value in tags.items()],
        )
        client.set_terminated(run.info.run_id)
    except (MlflowException, OSError) as error:
        raise NightjarError(f"the run could not be written to {store.tracking_uri()}: {error}") from error
    return str(run.info.run_id)


def last_run(tags: Mapping[str, str]) -> Run | None:
    """Return the newest finished run with these tags; raises NightjarError where the store cannot be read."""
    client = store.connect()
    from mlflow.exceptions import MlflowException

    terms = [f"tags.`{tag}` = {_quoted(value)}" for tag, value in tags.items()]
    try:
        found = client.search_runs(
            [store.experiment_id(client, EXPERIMENT)],
            " and ".join([*terms, "attributes.status = 'FINISHED'"]),
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
    except (MlflowException, OSError) as error:
        raise NightjarError(f"earlier runs in {store.tracking_uri()} cannot be read: {one_line(error)}") from error
    return found[0] if found else None


def _quoted(value: str) -> str:
    """MLflow knows no escape in a string: a value with one kind of quotes goes into the other."""
    return f'"{value}"' if "'" in value else f"'{value}'"
