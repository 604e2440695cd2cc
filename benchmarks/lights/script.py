"""A bare script over one video: the libraries that a scan imports, the same models, one step after the other.

What a user would write who wants to know what is in one file, and wants neither a guard, nor a registry, nor a report.
"""

from __future__ import annotations

import importlib
import json
import pickle
import sys
from pathlib import Path

import pyarrow as pa

from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.worker import Request, rows
from pipelines.nightly import Machines, nightly_stages
from pipelines.rows import WINDOWS
from pipelines.stage import run_local


def main(bundle_file: str, video: str, folder: str) -> None:
    """Print how many windows there are and what was found; argv: a pickled bundle, a video, a scratch folder."""
    for name in LIBRARIES:
        importlib.import_module(name)
    bundle = pickle.loads(Path(bundle_file).read_bytes())
    sampling = Sampling(frame_side=bundle.frame_side)
    request = Request("0" * 64, video, Path(video).stat().st_size, sampling, Limits())
    windows = pa.Table.from_pylist(list(rows(request)), WINDOWS)
    _, models, _ = nightly_stages(bundle, sampling, Limits(), Machines(model_threads=2), folder)
    found = run_local([models], windows)
    print(json.dumps({"windows": found.num_rows, "signals": sum(map(len, found["signals"].to_pylist()))}))


LIBRARIES = ("av", "decord", "mlflow", "onnxruntime", "pyarrow.parquet", "rich", "torch", "torchvision")

if __name__ == "__main__":
    main(*sys.argv[1:])
