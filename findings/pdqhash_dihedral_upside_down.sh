#!/usr/bin/env bash
# pdqhash 0.2.8 (PDQ reference code), numpy 2.4.6, Pillow 13.0.0
#
# Expected: `compute_dihedral` hashes a picture once and gives the hashes of its eight turns and mirrors, so the hash that
# it gives for "turned by 180 degrees" is near the hash of the turned picture (PDQ's own limit for "the same": 31 bits).
# Seen: mirrored left to right it is near (median 10, at most 16 bits). Upside down it is not: turned by 180 degrees the
# median is 30 bits for pictures of 456 x 256 pixels and 12 of 40 are past the limit, flipped top to bottom 4 of 40.
# The reference code shrinks with box filters whose windows are lopsided by a fraction of a pixel, and what a flip does to
# the signs of the cosine transform holds for a symmetric window only. At sizes that shrink evenly it is better, not right.
# So: whoever wants to find turned copies hashes turned pictures, or shrinks to 64 x 64 first, and does not trust the 31.
#
# Output:
#   456x256 left-right  median 10 max 16 past the limit 0 of 40
#   456x256 180 degrees median 30 max 40 past the limit 12 of 40
#   456x256 top-bottom  median 24 max 34 past the limit 4 of 40
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pdqhash==0.2.8 numpy==2.4.6 Pillow==13.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import pdqhash
from PIL import Image, ImageDraw, ImageFilter


def picture(seed):
    """A sky, a ground and a dozen soft things: as much detail as a photograph has at this scale."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (456, 256), tuple(random.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y = random.integers(0, 456), random.integers(0, 256)
        w, h = random.integers(8, 160), random.integers(8, 120)
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((int(x), int(y), int(x + w), int(y + h)), fill=tuple(random.integers(0, 256, 3).tolist()))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(1)))


TURNS = {"left-right ": (5, lambda p: p[:, ::-1]), "180 degrees": (2, lambda p: p[::-1, ::-1]), "top-bottom ": (4, lambda p: p[::-1])}
past = {}
for name, (place, turn) in TURNS.items():
    bits = []
    for seed in range(40):
        pixels = picture(seed)
        given = pdqhash.compute_dihedral(pixels)[0][place]
        true = pdqhash.compute(np.ascontiguousarray(turn(pixels)))[0]
        bits.append(int((given != true).sum()))
    past[name] = sum(b > 31 for b in bits)
    print(f"456x256 {name} median {np.median(bits):.0f} max {max(bits)} past the limit {past[name]} of 40")
ok = past["left-right "] == 0 and past["180 degrees"] >= 8
sys.exit(0 if ok else "the behaviour has changed")
PYTHON
