"""The calls that a server wraps, without a server. argv: bundle, threads, a file with the paths of pictures.

Prints one JSON: milliseconds of single uploads through the very examiner that Nightjar serves, and uploads a second of
the models' plain batched call, pictures decoded in it.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
import time
from pathlib import Path

from benchmarks.servers.screener import Screener
from model_registry.bundles import PinnedBundle
from pipelines.decode.limits import Limits, Sampling
from pipelines.risk.policy import load_policy
from pipelines.serving.contract import FIRST_SCREENING, Upload
from pipelines.serving.examiner import Examiner
from pipelines.text.words.lexicon import load_lexicons

CALLS = 150
BATCH = 16
BATCHED_S = 10.0


def main(bundle_file: str, threads: int, pictures: list[str]) -> dict[str, object]:
    """Measure both."""
    bundle: PinnedBundle = pickle.loads(Path(bundle_file).read_bytes())
    sampling = Sampling(frame_side=bundle.frame_side)
    examiner = Examiner.of(bundle, load_policy("default"), sampling, Limits(), load_lexicons(), threads=threads)
    examiner.warm()
    one_ms = [asyncio.run(_examined_ms(examiner, pictures[n % len(pictures)], n)) for n in range(CALLS)]
    examiner.close()
    screener = Screener(bundle_file, threads)
    files = [Path(path).read_bytes() for path in pictures]
    done, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < BATCHED_S:
        some = [files[(done + n) % len(files)] for n in range(BATCH)]
        screener.scores([screener.frame(file) for file in some], [f"a title {done + n}" for n in range(BATCH)])
        done += BATCH
    return {"one_ms": one_ms[CALLS // 10 :], "batched_a_second": done / took}


async def _examined_ms(examiner: Examiner, path: str, number: int) -> float:
    began = time.perf_counter()
    await examiner.check(Upload(str(number), Path(path), title=f"a title {number}", looks=FIRST_SCREENING))
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_text().splitlines())))
