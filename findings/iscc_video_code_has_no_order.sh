#!/usr/bin/env bash
# iscc-core 1.5.0 (ISO 24138, the International Standard Content Code)
#
# Expected: a Video-Code is a fingerprint of a film; played backwards, with its shots shuffled or with a third of it shown
# four times, a film has another code, or at least a few other bits. A track without one landmark has no Audio-Code.
# Seen: the Video-Code is the same to the last bit in all three cases: frame signatures are put into a set and added up, so
# neither order nor repetition counts. And an empty list of audio features gives a valid Audio-Code of zeros, the same for
# every silent file. So: a Video-Code nominates and cannot say which seconds match; zeros must be left out by the caller.
#
# Output:
#   forward  ISCC:EMA54HASLPU4YWW2
#   backward ISCC:EMA54HASLPU4YWW2
#   shuffled ISCC:EMA54HASLPU4YWW2
#   repeated ISCC:EMA54HASLPU4YWW2
#   audio of nothing ISCC:EIAQAAAAAAAAAAAA
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check iscc-core==1.5.0
"$folder/venv/bin/python" - <<'PYTHON'
import random
import sys

import iscc_core

random.seed(24138)
film = [tuple(random.randrange(0, 256) for _ in range(380)) for _ in range(20)]
cuts = {"forward": film, "backward": film[::-1], "shuffled": random.sample(film, 20), "repeated": film + film[:7] * 3}
codes = {name: iscc_core.gen_video_code_v0(frames)["iscc"] for name, frames in cuts.items()}
silence = iscc_core.gen_audio_code_v0([])["iscc"]
for name, code in codes.items():
    print(f"{name:8} {code}")
print("audio of nothing", silence)
sys.exit(0 if len(set(codes.values())) == 1 and silence.endswith("AAAAAAAAAAAA") else "the behaviour has changed")
PYTHON
