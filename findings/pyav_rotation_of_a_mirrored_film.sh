#!/usr/bin/env bash
# av 18.0.0 (PyAV, with the FFmpeg in its wheel), numpy 2.4.6
#
# Expected: `frame.rotation` is 0 for a film whose display matrix mirrors and does not turn, or says that it is no turn.
# Seen: mirrored left to right (as front cameras write it) it says 180, mirrored top to bottom it says 0. FFmpeg works the
# angle out as if the matrix were a pure turn, so only one of the two axes decides it. A reader that turns frames by this
# number shows a mirrored film upside down, or leaves an upside-down film as it is; the nine numbers of the matrix itself
# (side data DISPLAYMATRIX) tell, by the sign of their determinant.
#
# Output:
#   as it is          rotation 0    determinant positive
#   left to right     rotation 180  determinant negative
#   top to bottom     rotation 0    determinant negative
#   half a turn       rotation 180  determinant positive
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.0.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import struct
import sys

import av
import numpy as np

ONE = 1 << 16
MATRICES = {"as it is": (1, 1), "left to right": (-1, 1), "top to bottom": (1, -1), "half a turn": (-1, -1)}
WANTED = {"as it is": (0, 1), "left to right": (180, -1), "top to bottom": (0, -1), "half a turn": (180, 1)}

with av.open("plain.mp4", "w") as out:
    stream = out.add_stream("mpeg4", rate=5)
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    for shade in range(5):
        picture = np.full((64, 96, 3), 40 * shade, np.uint8)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
    out.mux(stream.encode(None))
plain = open("plain.mp4", "rb").read()
at = plain.index(b"tkhd") + 4 + 40  # version 0: the matrix, ISO/IEC 14496-12, 8.3.2

found = {}
for name, (x, y) in MATRICES.items():
    matrix = struct.pack(">9i", x * ONE, 0, 0, 0, y * ONE, 0, (96 if x < 0 else 0) * ONE, (64 if y < 0 else 0) * ONE, 1 << 30)
    open("film.mp4", "wb").write(plain[:at] + matrix + plain[at + 36 :])
    with av.open("film.mp4") as film:
        frame = next(film.decode(video=0))
        sign = 1 if x * y > 0 else -1
        found[name] = (abs(round(frame.rotation)), sign)
        print(f"{name:17} rotation {found[name][0]:<4} determinant {'positive' if sign > 0 else 'negative'}")
sys.exit(0 if found == WANTED else "the behaviour has changed")
PYTHON
