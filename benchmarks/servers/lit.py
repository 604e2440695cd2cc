"""LitServe around the models, with its own dynamic batching. argv: bundle, port, workers, threads a call in each."""

from __future__ import annotations

import sys
from typing import Any

import litserve

from benchmarks.servers.screener import Screener

MAX_BATCH = 16
BATCH_TIMEOUT_S = 0.002


class Api(litserve.LitAPI):  # type: ignore[misc]  # it is installed beside other benchmarks' needs only
    """Pictures and titles in batches."""

    def __init__(self, bundle: str, threads: int) -> None:
        super().__init__(max_batch_size=MAX_BATCH, batch_timeout=BATCH_TIMEOUT_S, api_path="/check")
        self.bundle, self.threads = bundle, threads

    def setup(self, device: str) -> None:  # noqa: ARG002
        """Load the models in the worker."""
        self.screener = Screener(self.bundle, self.threads)

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 LitServe takes an annotation for a schema
        """A form with a file and a title."""
        return self.screener.frame(request["file"].file.read()), request["title"]

    def predict(self, batch: list[tuple[Any, str]]) -> list[dict[str, object]]:
        """Score a batch."""
        frames, titles = zip(*batch, strict=True)
        return self.screener.scores(frames, titles)

    def encode_response(self, output: dict[str, object]) -> dict[str, object]:
        """As it is."""
        return output


if __name__ == "__main__":
    bundle, port, workers, threads = sys.argv[1:]
    server = litserve.LitServer(
        Api(bundle, int(threads)),
        accelerator="cpu",
        workers_per_device=int(workers),
        healthcheck_path="/healthz",
        fast_queue=True,
    )
    server.run(port=int(port), host="127.0.0.1", log_level="error", generate_client_file=False)
