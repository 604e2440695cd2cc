"""Start-up: `nightjar scan one.mp4` to its first verdict, against a bare script with the same libraries and models.

Both are processes of their own, timed from their launch to the line that tells, and take turns.
"""

from __future__ import annotations

import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.registry import Chart, Result
from model_registry.bundles import bundle_named, pin
from model_registry.errors import NightjarError
from pipelines.decode.limits import Limits
from pipelines.decode.probe import probe
from pipelines.decode.sniff import format_of

SEEING = ("speech", "ocr", "text")
WANTED_MS = 10_000  # the video nearest to this, with sound


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Alternate the two, with all models and with those that see; a first turn of each fills the disk's cache."""
    video = min((path for path in videos if _length_ms(path)), key=lambda path: abs(_length_ms(path) - WANTED_MS))
    metrics: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, skipped in (("all", ()), ("seeing", SEEING)):
            bundle = Path(folder) / f"{name}.pickle"
            bundle.write_bytes(pickle.dumps(pin(bundle_named("lite").without(*skipped))))
            scan = ["-m", "jobs.scan", str(video), "--json", *(["--skip", *skipped] if skipped else [])]
            script = ["-m", "benchmarks.lights.script", str(bundle), str(video), folder]
            pairs = [(_told_after_s(scan), _told_after_s(script)) for _ in range(repeat + 1)][1:]
            metrics[f"scan_vs_script_{name}"] = [ours / bare for ours, bare in pairs]
            metrics[f"scan_s_{name}"], metrics[f"script_s_{name}"] = map(list, zip(*pairs, strict=True))
    setup = {"video": video.name, "seconds": _length_ms(video) / 1000, "cores": os.cpu_count()}
    said = f"start to first verdict: {statistics.median(metrics['scan_s_all']):.1f} s with every model"
    chart = Chart("launch to verdict", "s", {name: metrics[name] for name in metrics if "_s_" in name})
    return Result(metrics, setup, [said], [chart])


def _told_after_s(words: Sequence[str]) -> float:
    """Seconds from the launch to the first line on standard output."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        line = process.stdout.readline() if process.stdout else b""
        told = time.perf_counter() - began
        _, errors = process.communicate()
    if process.returncode or not line:
        raise NightjarError(f"{' '.join(words[:2])} failed: {errors.decode(errors='replace').strip()[-300:]}")
    return told


def _length_ms(path: Path) -> int:
    info = probe(path, format_of(path, Limits()), Limits())
    return info.duration_ms if info.has_audio else 0
