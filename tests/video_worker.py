"""A process that checks and delivers what a folder's queue holds, so that a test can kill it: FOLDER SECONDS SECRET."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from pipelines.serving.contract import Answer, Upload
from pipelines.serving.videos import Videos, VideoSettings
from tests.local_post import LoopbackPoster
from tests.serving_fakes import FakeChecker

SETTINGS = VideoSettings(lease_s=0.5, most_starts=3, pauses_s=(0.1,) * 200, drain_s=5, poll_s=0.02, workers=3)


class Deadly(FakeChecker):
    """Looks as the fake does; bytes that say `poison` kill the process, as a fault in a native library would."""

    async def check(self, upload: Upload) -> Answer:
        if upload.path and b"poison" in upload.path.read_bytes():
            await asyncio.sleep(self.seconds)
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().check(upload)


async def main(folder: str, seconds: str, most_starts: str) -> None:
    """Run until killed or terminated."""
    videos = Videos(Path(folder), replace(SETTINGS, most_starts=int(most_starts)), LoopbackPoster())
    checker = Deadly(float(seconds))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, videos.stop)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await videos.run(lambda: checker)


def sha256(data: bytes) -> str:
    """As verdicts name contents."""
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
