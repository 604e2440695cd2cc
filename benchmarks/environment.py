"""The machine and the versions a measurement depends on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

LIBRARIES = ("nightjar", "ray", "torch", "onnxruntime", "decord", "av", "numpy", "pyarrow")
MACHINE_KIND = ("processor", "cores", "accelerator")


def environment() -> dict[str, str]:
    """Processor, cores, memory, system, accelerator and library versions."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory_gib": f"{psutil.virtual_memory().total / 2**30:.0f}",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "accelerator": _accelerator(),
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
    }


def machine_kind(machine: Mapping[str, str]) -> dict[str, str]:
    """What two machines share when their figures may be held against each other."""
    return {name: machine[name] for name in MACHINE_KIND}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _accelerator() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
