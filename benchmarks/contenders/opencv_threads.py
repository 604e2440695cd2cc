"""The same loop in a thread a core: each takes the next video, decodes it by OpenCV and scores its frames.

`grab` decodes a frame and `retrieve` converts it, so only the frames wanted are converted and scaled. OpenCV and both
models let other threads run meanwhile, so that threads do what processes would, with the models loaded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.contenders.contract import Frame, Output, Scorer, Task, batches, contend

AHEAD = 64  # frames


def work(task: Task, ready: Callable[[], None]) -> None:
    """A video a thread; where there are fewer videos than cores, one thread decodes ahead of the other."""
    cv2.setNumThreads(1)
    ready()
    scorer = Scorer(task, 1)

    def video(path: str) -> list[pa.Table]:
        return [scorer.rows(batch) for batch in batches(frames(path, task))]

    with Output(task) as out, ThreadPoolExecutor(task.cores) as pool:
        if len(task.videos) < task.cores:
            decoded = (frame for path in task.videos for frame in frames(path, task))
            done: Iterable[list[pa.Table]] = ([scorer.rows(batch)] for batch in batches(ahead(decoded)))
        else:
            done = pool.map(video, task.videos)
        for tables in done:
            for table in tables:
                out.write(table)


def ahead(decoded: Iterator[Frame]) -> Iterator[Frame]:
    """Hand on the same frames, taken by a thread of their own up to AHEAD before they are asked for."""
    waiting: Queue[Frame | None] = Queue(AHEAD)

    def fill() -> None:
        try:
            for frame in decoded:
                waiting.put(frame)
        finally:
            waiting.put(None)

    with ThreadPoolExecutor(1) as filler:
        filled = filler.submit(fill)
        yield from iter(waiting.get, None)
        filled.result()


def frames(path: str, task: Task, threads: int = 1) -> Iterator[Frame]:
    """Yield the frame on screen at each tick, by the file's frame rate; only those are converted and scaled."""
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, threads])
    period_ms = 1000 / capture.get(cv2.CAP_PROP_FPS)
    tick_ms = 0
    held: Frame | None = None
    while capture.grab():
        if held:  # the next frame has come, so this one was on screen until then
            yield held
            held = None
        start_ms = capture.get(cv2.CAP_PROP_POS_MSEC)
        if start_ms + period_ms > tick_ms + 0.5:
            held = Frame(path, round(start_ms), _pixels(capture, task))
            tick_ms += task.interval_ms
    if held and held.frame_ms >= tick_ms - task.interval_ms:
        yield held
    capture.release()


def _pixels(capture: cv2.VideoCapture, task: Task) -> NDArray[np.uint8]:
    _, frame = capture.retrieve()
    small = cv2.resize(frame, task.size(frame.shape[1], frame.shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)


if __name__ == "__main__":
    contend(work)
