#!/usr/bin/env bash
# pysubs2 1.8.1, webvtt-py 0.6.0
#
# Expected: a reader of WebVTT gives what a viewer reads: `AT&amp;T` is AT&T, a NOTE is for authors and is not shown, and a
# time beyond 100 hours (a radio stream, a surveillance camera) stays what it is.
# Seen: both leave the character references in the text (webvtt-py takes the tags out of `.text` but not the references);
# pysubs2 adds a NOTE that follows a cue to that cue's text; and when pysubs2 writes, a cue of 100:00:00 becomes
# 99:59:59.999 to 99:59:59.999, of no length, with a warning that speaks of SubRip. So: decode references yourself before words are looked for,
# and take NOTE blocks out before pysubs2 sees the file.
#
# Output:
#   webvtt-py  'AT&amp;T &lt;3 bold'
#   pysubs2    'AT&amp;T &lt;3 bold\n\nNOTE nobody sees this'
#   written    99:59:59.999 --> 99:59:59.999
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pysubs2==1.8.1 webvtt-py==0.6.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import pysubs2
import webvtt

FILE = """WEBVTT

00:00:01.000 --> 00:00:02.000
AT&amp;T &lt;3 <b>bold</b>

NOTE nobody sees this

100:00:00.000 --> 100:00:01.500
late
"""
one = webvtt.from_string(FILE)[0].text
cues = pysubs2.SSAFile.from_string(FILE)
other = cues[0].plaintext
written = next(line for line in cues.to_string("vtt").splitlines() if line.startswith("99:"))
print(f"webvtt-py  {one!r}\npysubs2    {other!r}\nwritten    {written}")
as_seen = "&amp;" in one and "NOTE" in other and written == "99:59:59.999 --> 99:59:59.999"
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
