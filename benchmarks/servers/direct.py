"""The calls that a server wraps, without a server. argv: bundle, threads, a file with the paths of pictures.

Prints one JSON: milliseconds of single uploads through the very examiner that Nightjar serves, and uploads a second of
the models' plain batched call, pictures decoded in it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.servers.screener import Screener
from pipelines.serving.application import Layout
from pipelines.serving.contract import FIRST_SCREENING, Checker, Upload
from pipelines.serving.ingress import examiner
from pipelines.serving.placement import Room
from pipelines.serving.service import Service, plan

CALLS = 150
BATCH = 16
BATCHED_S = 10.0


def main(bundle_file: str, threads: int, pictures: list[str]) -> dict[str, object]:
    """Measure both."""
    checker = served_here()
    one_ms = [asyncio.run(_examined_ms(checker, pictures[n % len(pictures)], n)) for n in range(CALLS)]
    checker.close()  # type: ignore[attr-defined]  # before the cores go to the batches
    screener = Screener(bundle_file, threads)
    files = [Path(path).read_bytes() for path in pictures]
    done, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < BATCHED_S:
        some = [files[(done + n) % len(files)] for n in range(BATCH)]
        screener.scores([screener.frame(file) for file in some], [f"a title {done + n}" for n in range(BATCH)])
        done += BATCH
    return {"one_ms": one_ms[CALLS // 10 :], "batched_a_second": done / took}


def served_here() -> Checker:
    """What one ingress replica builds on a machine like this one."""
    service = Service()
    found = plan(service)
    layout = Layout.of(service, [ref.spec for ref in found.bundle.models], Room(os.cpu_count() or 1))
    return examiner(replace(found, bundle=layout.machine.place(found.bundle)), service, layout.machine)


async def _examined_ms(checker: Checker, path: str, number: int) -> float:
    began = time.perf_counter()
    await checker.check(Upload(str(number), Path(path), title=f"a title {number}", looks=FIRST_SCREENING))
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_text().splitlines())))
