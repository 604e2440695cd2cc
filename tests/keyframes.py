"""A night of small films in which keyframes tell less or more than the frames between them.

Run as a program it is the driver that a test may kill: `python -m tests.keyframes MANIFEST FOLDER`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from jobs.night import How, Outcome, run_night
from jobs.recipes import Recipe
from model_registry.bundles import PinnedBundle
from pipelines.decode.limits import Limits, Sampling
from pipelines.manifest import read_manifest
from pipelines.risk.policy import Policy, parse_policy
from tests.fakes import FakeHead, FakeTower, fake_ref
from tests.footage import Draw, Tone, write_film

FPS, GOP, SECONDS = 10, 20, 8
RULE = {"label": "Violence/Weapons", "abstain": [0.4, 0.8]}  # the fake head finds them in red
KEYFRAMES = {"unsure_from": 0.5, "longest_gap_ms": 5000, "every_ms": 2000}


def reddish(at_keyframes: float, between: float) -> Draw:
    """Draw frames whose red is one thing at keyframes and another between them."""

    def draw(index: int, width: int, height: int) -> NDArray[np.uint8]:
        frame = np.zeros((height, width, 3), np.uint8)
        frame[..., 0] = round(255 * (between if index % GOP else at_keyframes))
        return frame

    return draw


FILMS = {
    "dull": reddish(0.02, 0.04),
    "rising": reddish(0.3, 0.9),  # keyframes leave a doubt, and what is between them ends it
    "falling": reddish(0.3, 0.04),
    "hidden": reddish(0.02, 0.9),  # no keyframe shows it
}


def write_manifest(folder: Path) -> Path:
    """Write the films, one with a single keyframe, one with its end cut off, one that is not there, and their list."""
    for name, draw in FILMS.items():
        write_film(folder / f"{name}.mp4", seconds=SECONDS, fps=FPS, gop=GOP, draw=draw, tone=Tone(2))
    write_film(folder / "sparse.mp4", seconds=SECONDS, fps=FPS, gop=1000, draw=reddish(0.02, 0.9))
    whole = write_film(
        folder / "cut.mp4", seconds=SECONDS, fps=FPS, gop=GOP, draw=reddish(0.02, 0.1), flags="faststart"
    )
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    names = [*FILMS, "sparse", "cut", "gone"]
    rows = [{"video_id": name, "uri": str(folder / f"{name}.mp4")} for name in names]
    rows.append({"video_id": "dull again", "uri": rows[0]["uri"]})
    path = folder / "manifest.csv"
    path.write_text("\n".join(["video_id,uri", *(",".join(row.values()) for row in rows)]), "utf-8")
    return path


def policy(**keyframes: object) -> Policy:
    """Review from 0.4 of red on; keyframes are surely low below 0.2."""
    table = KEYFRAMES | keyframes
    return parse_policy({"name": "red", "version": "1", "rule": [RULE], "keyframes": table}, "0" * 64)


def night(
    manifest: Path,
    folder: Path,
    *,
    keyframes_first: bool = True,
    rules: Policy | None = None,
    retry_failed: bool = False,
) -> Outcome:
    """Run it with fakes."""
    bundle = PinnedBundle("fake", "1", 64, fake_ref(FakeTower), (fake_ref(FakeHead),))
    sampling = Sampling(frame_side=64)
    recipe = Recipe(bundle, rules or policy(), sampling, Limits(), keyframes_first=keyframes_first)
    how = How(retry_failed=retry_failed)
    return run_night("scan", "Keyframes first", read_manifest(str(manifest)), recipe, folder, how)


def kill_tree(process: subprocess.Popen[str]) -> None:
    """SIGKILL the driver and all that it started."""
    tree = [process.pid, *[child.pid for child in psutil.Process(process.pid).children(recursive=True)]]
    for pid in tree:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()


if __name__ == "__main__":
    night(Path(sys.argv[1]), Path(sys.argv[2]))
