"""A bare Ray Serve ingress: FastAPI behind the proxy, the same form read, no model. argv: port, tuned or not."""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Form, UploadFile

from jobs.session import QUIET
from pipelines.serving.application import ENVIRONMENT, LOGGING

app = FastAPI()


class Bare:
    """Reads the form and answers."""

    @app.post("/check")
    async def check(self, file: UploadFile, title: Annotated[str, Form()] = "") -> dict[str, object]:
        """Say how much came."""
        return {"bytes": len(await file.read()), "title": len(title)}

    @app.get("/healthz")
    async def healthz(self) -> dict[str, str]:
        """Say so."""
        return {"status": "ok"}


def main(port: int, *, tuned: bool) -> None:
    """Serve until killed; `tuned` takes the switches that Nightjar takes, else all is as Ray ships it."""
    os.environ.update(QUIET)
    if tuned:
        os.environ.update(ENVIRONMENT)
    import ray
    from ray import serve

    with tempfile.TemporaryDirectory(prefix="nightjar-") as folder:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="error", _temp_dir=folder)
        serve.start(http_options={"host": "127.0.0.1", "port": port}, logging_config=LOGGING if tuned else None)
        serve.run(serve.deployment(serve.ingress(app)(Bare)).options(max_ongoing_requests=512).bind(), name="bare")
        while Path(folder).exists():
            time.sleep(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), tuned=sys.argv[2] == "tuned")
