"""The application on a running Ray: started, and stopped so that what runs can end."""

from __future__ import annotations

import logging

from model_registry.errors import NightjarError
from model_registry.reading import one_line
from pipelines.serving.application import INGRESS, LOGGING, application
from pipelines.serving.ingress import Parts
from pipelines.serving.placement import Room
from pipelines.serving.served import handle_of
from pipelines.serving.service import APP, Service

log = logging.getLogger(__name__)


def start(host: str, port: int) -> None:
    """Have Ray Serve's proxies listen.

    Raises NightjarError where the cluster's Ray Serve listens elsewhere already: that is settled when it starts.
    """
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    serve.start(proxy_location="EveryNode", http_options={"host": host, "port": port}, logging_config=LOGGING)
    if (found := _listens_on()) != (host, port):
        raise NightjarError(
            f"Ray Serve of this cluster listens on {found[0]} port {found[1]}, wanted {host} port {port}"
        )


def _listens_on() -> tuple[str, int]:
    """The address that Ray Serve took when it started.

    Nothing public says it in this process: `serve.status` does not, and the dashboard that does may not be there.
    """
    from ray.serve.context import _get_global_client

    found = _get_global_client().http_config
    return found.host, found.port


def deploy(service: Service, room: Room, app: str = APP, route: str = "/", parts: Parts | None = None) -> None:
    """Return when every replica has answered once; raises NightjarError with what kept one from it."""
    from ray import serve

    bound = application(service, room, app, parts)
    try:
        serve.run(bound, name=app, route_prefix=route, logging_config=LOGGING)
    except RuntimeError as error:
        raise NightjarError(f"the application {app} did not start: {_why(app) or one_line(error)}") from error


def _why(app: str) -> str:
    """The last line of what each failed deployment left: the exception."""
    from ray import serve

    found = serve.status().applications[app].deployments.items()
    failed = {name: status.message.strip() for name, status in found if "FAILED" in status.status.value}
    return "; ".join(f"{name}: {_last_line(message)}" for name, message in failed.items() if message)


def _last_line(message: str) -> str:
    lines = [line for line in message.splitlines() if line.strip() and not line.startswith((" ", "\t"))]
    return one_line(lines[-1]) if lines else one_line(message)


def stop(drain_s: float, app: str = APP) -> None:
    """Refuse what comes, let what runs end, then take down this application and no other."""
    from ray import serve

    try:
        handle_of(app, INGRESS).broadcast("drain").results(timeout_s=drain_s)
    except Exception as error:  # noqa: BLE001 whatever keeps it from draining, it is to stop
        log.warning("not everything ended within %g s: %s", drain_s, error)
    serve.delete(app)
