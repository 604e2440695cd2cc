"""The plain way: FastAPI and uvicorn around the models, a thread a request, no batching.

argv: bundle, port, workers, threads a call in each.
"""

import os
import sys
import threading
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Form, UploadFile

from benchmarks.servers.screener import Screener

BUNDLE, THREADS = "SCREENER_BUNDLE", "SCREENER_THREADS"  # for workers, which get no arguments


def build(screener: Screener) -> FastAPI:
    """One route. Models take calls from several threads; Hyperscan's scratch does not, so texts take turns."""
    app = FastAPI()
    turn = threading.Lock()

    @app.post("/check")
    def check(file: UploadFile, title: Annotated[str, Form()] = "") -> dict[str, object]:
        frame = screener.frame(file.file.read())
        with turn:
            return screener.scores([frame], [title])[0]

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


def app() -> FastAPI:
    """What uvicorn calls in each worker."""
    return build(Screener(os.environ[BUNDLE], int(os.environ[THREADS])))


if __name__ == "__main__":
    os.environ[BUNDLE], port, workers, os.environ[THREADS] = sys.argv[1:]
    served = "benchmarks.servers.plain:app"
    uvicorn.run(served, factory=True, workers=int(workers), port=int(port), log_level="error", access_log=False)
