"""ffmpeg commands that make films, references and uploads; one encoder thread each, so that bytes repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.copies.edits import Change, Size
from benchmarks.copies.films import FPS, Film, frames
from benchmarks.copies.uploads import Segment, Upload

SOUND_HZ = 44_100
QUIET = ("ffmpeg", "-v", "error", "-nostdin", "-y", "-filter_threads", "1", "-filter_complex_threads", "1")
MASTER = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "15", "-g", "25", "-c:a", "pcm_s16le", "-ac", "1")
SHARED = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-threads", "1", "-fflags", "+bitexact")
AAC = ("-c:a", "aac", "-b:a", "64k", "-ac", "1")


@dataclass(frozen=True)
class Shelf:
    """Where the parts of a corpus lie."""

    root: Path

    def film(self, film: Film) -> Path:
        """A film at high quality, always with a sound track, silent where the film has none."""
        return self.root / "films" / f"{film.name}.mkv"

    def drawing(self, change: Change, size: Size) -> Path:
        """A caption or emoji."""
        return self.root / "drawings" / f"{change.drawing}-{change.seed}-{size[0]}x{size[1]}.png"

    def track(self, name: str) -> Path:
        """The synthetic sound of a film, or what is laid over sound."""
        return self.root / "sounds" / f"{name}.wav"

    def reference(self, name: str) -> Path:
        """What is searched."""
        return self.root / "references" / f"{name}.mp4"

    def query(self, name: str) -> Path:
        """An upload."""
        return self.root / "queries" / f"{name}.mp4"


@dataclass
class Graph:
    """Inputs, and filter chains over them, of one ffmpeg command."""

    inputs: list[list[str]] = field(default_factory=list)
    chains: list[str] = field(default_factory=list)

    def add(self, *options: str) -> int:
        """Add an input and return its number; an input given twice is opened once for each use."""
        self.inputs.append(list(options))
        return len(self.inputs) - 1

    def command(self, *output: str) -> list[str]:
        """The whole command."""
        opened = [option for options in self.inputs for option in ("-threads", "1", *options)]
        return [*QUIET, *opened, "-filter_complex", ";".join(self.chains), *output]


def film_command(film: Film, shelf: Shelf) -> list[str]:
    """Join a film's footage; its sound is its own, a synthetic track's, or silence."""
    graph = Graph()
    width, height = film.size
    fill = f"scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height}"
    for number, piece in enumerate(film.pieces):
        graph.add("-ss", f"{piece.from_s}", "-i", str(piece.path))
        length = f"tpad=stop_mode=clone:stop=50,trim=end_frame={frames(piece)},setpts=PTS-STARTPTS"
        graph.chains.append(f"[{number}:v:0]setpts=PTS-STARTPTS,fps={FPS},{fill},setsar=1,{length}[v{number}]")
    joined = "".join(f"[v{number}]" for number in range(len(film.pieces)))
    graph.chains.append(f"{joined}concat=n={len(film.pieces)}:v=1,format=yuv420p[v]")
    sound = f"[{_track(graph, film, shelf)}:a:0]aresample={SOUND_HZ},aformat=channel_layouts=mono"
    graph.chains.append(f"{sound},apad,atrim=end={film.frames / FPS:.3f},asetpts=PTS-STARTPTS[a]")
    return graph.command("-map", "[v]", "-map", "[a]", *MASTER, "-threads", "1", str(shelf.film(film)))


def _track(graph: Graph, film: Film, shelf: Shelf) -> int:
    if film.sound == "own":
        return 0
    if film.sound == "none":
        return graph.add("-f", "lavfi", "-i", f"anullsrc=r={SOUND_HZ}:cl=mono")
    return graph.add("-i", str(shelf.track(film.name)))


def reference_command(film: Film, shelf: Shelf) -> list[str]:
    """Encode a reference as a catalogue would hold it."""
    sound = ["-an"] if film.sound == "none" else ["-map", "0:a", *AAC]
    source = [*QUIET, "-threads", "1", "-i", str(shelf.film(film)), "-map", "0:v"]
    return [*source, *sound, *SHARED, "-crf", "28", str(shelf.reference(film.name))]


def upload_command(upload: Upload, shelf: Shelf) -> list[str]:
    """Edit and join an upload's segments in one pass."""
    graph = Graph()
    for number, segment in enumerate(upload.segments):
        _segment(graph, number, segment, upload, shelf)
    count = len(upload.segments)
    picture = "".join(f"[v{number}]" for number in range(count))
    graph.chains.append(f"{picture}concat=n={count}:v=1,format=yuv420p[v]")
    crf = max([28, *(change.crf for change in upload.changes if change.crf)])
    encoding = [*SHARED, "-crf", str(crf), str(shelf.query(upload.name))]
    if not upload.has_sound:
        return graph.command("-map", "[v]", "-an", *encoding)
    graph.chains.append("".join(f"[a{number}]" for number in range(count)) + f"concat=n={count}:v=0:a=1[a]")
    return graph.command("-map", "[v]", "-map", "[a]", *AAC, *encoding)


def _segment(graph: Graph, number: int, segment: Segment, upload: Upload, shelf: Shelf) -> None:
    source = _open(graph, segment.film, segment.start, segment.taken, shelf)
    base = upload.base if segment.changes else upload.canvas
    fill = f"scale={base[0]}:{base[1]}:force_original_aspect_ratio=increase,crop={base[0]}:{base[1]},setsar=1"
    end = f"fps={FPS},tpad=stop_mode=clone:stop=100,trim=end_frame={segment.frames},setpts=PTS-STARTPTS,setsar=1"
    graph.chains.append(f"[{source}:v]setpts=PTS-STARTPTS,{fill}[p{number}x0]")
    size = base
    for step, change in enumerate(segment.changes):
        ends = {"in": f"p{number}x{step}", "out": f"p{number}x{step + 1}"}
        graph.chains.append(_filled(change.picture, ends | _extras(graph, change, segment, size, shelf), number, step))
        size = change.size
    graph.chains.append(f"[p{number}x{len(segment.changes)}]{end},format=yuv420p[v{number}]")
    if upload.has_sound:
        _segment_sound(graph, number, source, segment, shelf)


def _segment_sound(graph: Graph, number: int, source: int, segment: Segment, shelf: Shelf) -> None:
    form = f"aresample={SOUND_HZ},aformat=channel_layouts=mono"
    length = f"apad,atrim=end={segment.frames / FPS:.3f},asetpts=PTS-STARTPTS"
    graph.chains.append(f"[{source}:a]asetpts=PTS-STARTPTS,{form}[s{number}x0]")
    for step, change in enumerate(segment.changes):
        labels = {"in": f"s{number}x{step}", "out": f"s{number}x{step + 1}"}
        if change.name in ("voice_over", "music_over"):
            laid = change.name.partition("_")[0]
            track = shelf.track(f"{laid}-{segment.film.split}-{change.seed % OVERLAYS}")
            over = graph.add("-stream_loop", "-1", "-ss", str(change.seed % 20), "-i", str(track))
            graph.chains.append(f"[{over}:a]{form},atrim=end={segment.frames / FPS + 1:.3f}[o{number}x{step}]")
            labels[laid] = f"o{number}x{step}"
        graph.chains.append(_filled(change.sound, labels, number + 1000, step))
    graph.chains.append(f"[s{number}x{len(segment.changes)}]{form},{length}[a{number}]")


OVERLAYS = 3  # tracks of a kind, for each split


def _extras(graph: Graph, change: Change, segment: Segment, size: Size, shelf: Shelf) -> dict[str, str]:
    """Open what an edit of the picture needs beside the picture."""
    if "[drawing]" in change.picture:
        return {"drawing": f"{graph.add('-i', str(shelf.drawing(change, size)))}:v"}
    if "[other]" in change.picture and segment.other:
        film, start = segment.other
        return {"other": f"{_open(graph, film, start, segment.taken, shelf, again=True)}:v"}
    return {}


def _open(graph: Graph, film: Film, start: int, taken: float, shelf: Shelf, again: bool = False) -> int:
    looped = ["-stream_loop", "-1"] if again else []
    window = ["-ss", f"{start / FPS:.3f}", "-t", f"{(taken + 3) / FPS:.3f}"]
    return graph.add(*looped, *window, "-i", str(shelf.film(film)))


def _filled(template: str, labels: dict[str, str], number: int, step: int) -> str:
    for name, label in labels.items():
        template = template.replace(f"[{name}]", f"[{label}]")
    return template.replace("[@", f"[e{number}x{step}")


def tracks_over(uploads: Sequence[Upload]) -> list[str]:
    """Name the tracks that uploads lay over their sound."""
    return sorted({f"{laid}-{u.split}-{n}" for u in uploads for laid in ("voice", "music") for n in range(OVERLAYS)})
