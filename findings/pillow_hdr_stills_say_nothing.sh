#!/usr/bin/env bash
# pillow 13.0.0, numpy 2.4.6
#
# Expected: of a PNG with the chunk `cICP` of the third edition (2025: how the values are meant, by ITU-T H.273), Pillow
# gives what the chunk says in `info`, as it does for gamma, chromaticities and ICC profiles.
# Seen: nothing. A picture in PQ or HLG opens as any other, its code values pass for sRGB, and `info` is the same as
# without the chunk, so a reader cannot even know: white paper of 203 cd/m2 comes out as 148 of 255, a pale grey.
# A browser shows the same file right.
#
# Output:
#   gAMA and cICP in the file: info has ['gamma']
#   white paper in PQ reads as 148
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import io
import struct
import sys
import zlib

import numpy as np
from PIL import Image


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def pq(light):
    """SMPTE ST 2084, from cd/m2 to a share of the code values."""
    power = (light / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


white = round(255 * pq(203))
plain = io.BytesIO()
Image.fromarray(np.full((32, 32, 3), white, np.uint8)).save(plain, "PNG")
content, header = plain.getvalue(), 8 + 25  # behind IHDR
said = chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"cICP", bytes([9, 16, 0, 1]))  # BT.2020, PQ, RGB, full range
picture = Image.open(io.BytesIO(content[:header] + said + content[header:]))
picture.load()
print(f"gAMA and cICP in the file: info has {sorted(picture.info)}")
print(f"white paper in PQ reads as {picture.getpixel((5, 5))[0]}")
sys.exit(0 if sorted(picture.info) == ["gamma"] and picture.getpixel((5, 5))[0] == 148 else "the behaviour has changed")
PYTHON
