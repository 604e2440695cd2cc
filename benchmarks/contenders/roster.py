"""Who takes part: what each peer needs installed, what costs or saves it time, how far its output may be from ours."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.contenders.compare import ALLOWED, Gaps

OURS = "nightjar"


@dataclass(frozen=True)
class Peer:
    """What a contender needs installed, and what it does that costs or saves time."""

    needs: tuple[str, ...]
    why: str
    allowed: Gaps = ALLOWED  # between its output and ours
    module: str = ""  # of this package; "": the contender's own name
    published: bool = True  # the models as people get them; False: by Nightjar's classes, which run them faster


PEERS = {
    "opencv_loop": Peer(
        ("cv2",), "decodes every frame; decoding and the models take turns, and neither keeps both cores busy"
    ),
    "opencv_threads": Peer(
        ("cv2",), "decodes every frame; one process, so nothing is handed over and the models are loaded once"
    ),
    "opencv_threads_our_models": Peer(
        ("cv2",),
        "the same with Nightjar's models: what is left of the gap is decoding, and what processes cost",
        module="opencv_threads",
        published=False,
    ),
    "torch_loader": Peer(
        ("torchcodec",), "decodes every frame in two workers; frames cross shared memory, one process scores them all"
    ),
    "ray_read_videos": Peer(
        ("ray", "decord", "cv2"),
        "decodes every frame by decord and makes each one wanted a block of its own; Ray to start",
        Gaps(largest_ms=500.0, p99_cosine=0.5),  # one frame in so many drifts where the mean rate is no whole number
    ),
    "daft_frames": Peer(("daft",), "decodes every frame in threads; the models wait for batches in one thread"),
    "data_juicer_op": Peer(
        ("data_juicer",), "decodes every frame; each of two forked processes loads the models, and reads no video ahead"
    ),
}
WHY_OURS = "decodes only what the sampled frames need, in children that may die; models folded into faster graphs"
