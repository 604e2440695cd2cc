"""The plain way: FastAPI and uvicorn around the models, a thread a request, no batching.

argv: bundle, port, threads.
"""

import sys
import threading
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Form, UploadFile

from benchmarks.servers.screener import Screener


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


if __name__ == "__main__":
    bundle, port, threads = sys.argv[1:]
    uvicorn.run(build(Screener(bundle, int(threads))), port=int(port), log_level="error", access_log=False)
