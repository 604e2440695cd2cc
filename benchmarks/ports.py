"""Ports for what is about to be started here."""

from __future__ import annotations

import random

from model_registry.errors import NightjarError
from pipelines.serving.relay import LAST, is_free

NOBODYS = range(LAST, 32_768)  # above a service's replicas, below what a system gives to whom any port will do


def free_port() -> int:
    """Return a loopback port that nobody has, and that none of the processes started meanwhile is given."""
    for port in random.sample(NOBODYS, len(NOBODYS)):
        if is_free(port):
            return port
    raise NightjarError(f"no port from {NOBODYS.start} to {NOBODYS.stop - 1} is free")
