"""The corpus of the copy benchmark, small and from drawn films: true to the truth, fair between splits, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.copies import corpus as corpus_module
from benchmarks.copies.corpus import Corpus, build
from benchmarks.copies.edits import EDITS, settle
from benchmarks.copies.exam import exam
from benchmarks.copies.films import Film, films_of
from benchmarks.copies.lookalikes.build import build as build_lookalikes
from benchmarks.copies.metrics import Match
from benchmarks.copies.peers import FrameRule
from benchmarks.copies.render import Shelf
from benchmarks.copies.sources import SPLITS, Source, sources_in, sources_of
from benchmarks.copies.tables import marks
from benchmarks.copies.uploads import Segment, Upload
from benchmarks.copy_detection import measure
from benchmarks.registry import requirements
from model_registry.errors import NightjarError, UsageError
from tests.footage import Tone, shade, write_film

needs_ffmpeg = pytest.mark.skipif(not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="ffmpeg is absent")
needs_fonts = pytest.mark.skipif(not any(Path("/usr/share/fonts").rglob("NotoSerifCJK-Bold.ttc")), reason="no fonts")
FILMS, SECONDS, FPS = 6, 9.0, 10
FOLDERS = (("queries", "query"), ("references", "reference"))


def drawn(film: int):
    """Blocks that tell films apart, over a grey that tells frames apart."""
    blocks = np.random.default_rng(film).integers(0, 120, (4, 6, 3), np.uint8)

    def draw(index: int, width: int, height: int) -> np.ndarray:
        picture = np.kron(blocks, np.ones((height // 4, width // 6, 1), np.uint8))
        picture[height // 2 :] //= 4
        return picture + np.uint8(shade(index) // 2)

    return draw


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    for film in range(FILMS):
        tone = Tone(SECONDS, 300.0 + 90 * film) if film % 2 else None
        write_film(folder / f"film{film}.mp4", seconds=SECONDS, fps=FPS, draw=drawn(film), tone=tone)
    (folder / "notes.txt").write_text("no film")
    return folder


@pytest.fixture(scope="module")
def sources(media: Path) -> list[Source]:
    return sources_in(media)


@pytest.fixture(scope="module")
def films(sources: list[Source]) -> list[Film]:
    return films_of(sources)


@pytest.fixture(scope="module")
def corpus(sources: list[Source], tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return build(sources, tmp_path_factory.mktemp("draw0") / "main", "small")


@pytest.fixture(scope="module")
def alike(sources: list[Source], corpus: Corpus) -> Corpus:
    """Two pairs of quotes, where the benchmark looks for look-alikes."""
    return build_lookalikes(sources, corpus.root.parent / "lookalikes-report", "report", keep=("quote",))


def both(corpus: Corpus, table: str) -> list[dict[str, str]]:
    return [row for split in SPLITS for row in corpus.rows(table, split)]


def shown(corpus: Corpus, split: str, table: str) -> set[str]:
    return {group for row in corpus.rows(table, split) for group in row["groups"].split(";")}


def frame_at(path: Path, time_ms: float) -> np.ndarray:
    """The picture on show then, without its edge, where scaling and cropping may differ by a pixel."""
    with av.open(str(path)) as container:
        shown = [frame for frame in container.decode(video=0) if frame.time * 1000 <= time_ms + 1]
        picture = shown[-1].reformat(width=96, height=64).to_ndarray(format="rgb24")
    return picture[4:-4, 4:-4].astype(float)


@needs_ffmpeg
def test_the_copied_span_shows_what_the_truth_says_and_nothing_else_does(corpus: Corpus) -> None:
    unedited = {row["query"] for row in both(corpus, "queries") if row["edits"] == "concat"}
    rows = [row for row in both(corpus, "truth") if row["query"] in unedited]
    assert len(rows) >= 2
    for row in rows:
        query, reference = (corpus.root / folder / f"{row[column]}.mp4" for folder, column in FOLDERS)
        start, end, ref_start = (int(row[name]) for name in ("start_ms", "end_ms", "ref_start_ms"))
        for share in (0.1, 0.5, 0.9):
            at = start + share * (end - start)
            shown, source = frame_at(query, at), frame_at(reference, ref_start + at - start)
            later = frame_at(reference, ref_start + at - start + 200)
            assert np.abs(shown - source).mean() < 6
            assert np.abs(shown - later).mean() > 8


@needs_ffmpeg
def test_the_splits_share_no_footage_and_fillers_are_in_no_reference(corpus: Corpus) -> None:
    groups = {
        split: {
            g
            for table in ("queries", "references")
            for row in corpus.rows(table, split)
            for g in row["groups"].split(";")
        }
        for split in ("fit", "report")
    }
    assert groups["fit"]
    assert not groups["fit"] & groups["report"]
    referenced = shown(corpus, "fit", "references") | shown(corpus, "report", "references")
    clean = [row for row in both(corpus, "queries") if row["copies"] == "0"]
    assert not referenced & {group for row in clean for group in row["groups"].split(";")}


@needs_ffmpeg
def test_at_least_half_of_the_uploads_hold_no_copy(corpus: Corpus) -> None:
    for split in SPLITS:
        copies = [row["copies"] for row in corpus.rows("queries", split)]
        assert copies.count("0") * 2 >= len(copies) > 0
    assert all(10_000 <= int(row["duration_ms"]) <= 20_000 for row in both(corpus, "queries"))


@needs_ffmpeg
def test_an_upload_is_as_long_as_said_and_has_sound_where_said(corpus: Corpus) -> None:
    for row in both(corpus, "queries"):
        with av.open(str(corpus.root / "queries" / f"{row['query']}.mp4")) as container:
            assert container.duration / 1000 == pytest.approx(int(row["duration_ms"]), abs=60)
            assert len(container.streams.audio) == int(row["has_sound"])


@needs_ffmpeg
def test_building_again_makes_nothing_and_what_is_lost_is_made_again(
    corpus: Corpus, sources: list[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    run = corpus_module.subprocess.run

    def counted(command, **options):
        made.append(Path(command[-1]).name)
        return run(command, **options)

    monkeypatch.setattr(corpus_module.subprocess, "run", counted)
    query = corpus.queries("report")[0]
    before = query.read_bytes()
    query.unlink()
    build(sources, corpus.root, "small")
    encoded = [name for name in made if name.endswith((".mp4", ".mkv"))]
    assert encoded == [f"{query.stem}.partial.mp4"]
    assert query.read_bytes() == before


@needs_ffmpeg
def test_an_exam_is_read_from_the_corpus_and_the_truth_passes_it(corpus: Corpus) -> None:
    asked = exam(corpus, "report")
    assert len(asked.truth) >= 2
    best = marks(asked, asked.truth)
    assert (best.uap, best.segment_ap, best.at_p90.recall, best.false_at_p90) == pytest.approx((1, 1, 1, 0))


@needs_ffmpeg
def test_vpdq_finds_copies_that_nobody_edited_and_where(corpus: Corpus) -> None:
    asked = exam(corpus, "report").part(lambda upload: upload.edits == ("concat",))
    queries = [corpus.root / "queries" / f"{upload.query}.mp4" for upload in asked.asked]
    found = FrameRule(distance=63, quality=0, share="seconds").detect(corpus.references("report"), queries)
    best = marks(asked, found)
    assert best.uap == 1
    assert best.segment_ap > 0.5  # the films hardly move


@needs_ffmpeg
@needs_fonts
def test_a_copied_card_shows_what_the_truth_says_and_its_lookalike_something_else(alike: Corpus) -> None:
    """The first quote is copied under no edit: the picture is the reference's; its look-alike has other words."""
    (row,) = (row for row in alike.rows("truth", "report") if row["query"] == "report-copy-000")
    query, reference = (alike.root / folder / f"{row[column]}.mp4" for folder, column in FOLDERS)
    start, end, ref_start = (int(row[name]) for name in ("start_ms", "end_ms", "ref_start_ms"))
    for at in (start + 200, end - 200):
        assert np.abs(frame_at(query, at) - frame_at(reference, ref_start + at - start)).mean() < 3
    outside = end + 400 if start == 0 else start - 400
    assert np.abs(frame_at(query, outside) - frame_at(reference, 3000)).mean() > 12
    (like,) = (row["query"] for row in alike.rows("queries", "report") if row["like"] == reference.stem)
    other = frame_at(alike.root / "queries" / f"{like}.mp4", 3000)
    assert (np.abs(other - frame_at(reference, 3000)).max(2) > 48).mean() > 0.01
    assert {upload.copied: upload.hard for upload in exam(alike, "report").asked} == {True: False, False: True}


@needs_ffmpeg
@needs_fonts
def test_the_benchmark_marks_ours_beside_the_peers(corpus: Corpus, alike: Corpus, sources: list[Source]) -> None:
    """A detector that knows the truth has full marks and misses nothing; one that finds nothing has none."""

    def knowing(references: list[Path], queries: list[Path], work: Path) -> dict[str, list[Match]]:
        searched = Corpus(work.parent.parent)
        assert (references, queries) == (searched.references("report"), searched.queries("report"))
        truth = list(exam(searched, "report").truth)
        wrong = Match(queries[0].stem, "no such reference", 0.7, 0, 9000, 0, 9000)
        return {"ours, picture": [], "ours, sound": [wrong], "ours, fused": truth}

    result = measure(lambda _: sources, corpus.root.parent.parent, "small", knowing)
    assert (result.median("uap_fused"), result.median("segment_ap_fused")) == pytest.approx((1, 1))
    assert (result.median("uap_sound"), result.median("recall_action_fused")) == (0, 1)
    assert (result.median("false_action_per_200_fused"), result.median("lookalikes_at_action_fused")) == (0, 0)
    assert result.median("false_action_per_200_sound") == 0
    assert result.median("false_doubt_per_200_sound") == 200 / len(corpus.queries("report"))
    assert result.median("lookalike_copies_at_action_fused") == 1
    assert result.median("times_best_peer") >= 1
    assert alike.root.is_relative_to(corpus.root.parent)
    assert {row["metric"] for row in requirements("copy_detection")} <= set(result.metrics)
    (table,) = (note for note in result.notes if note.startswith("## Overall"))
    assert "| ours, fused | 1.000 | 1.000 | 1.000 | 1.000 | 1.000 | 1.000 | 0.0 | 0.0 | 0 |" in table.splitlines()
    assert "| vPDQ as published |" in table


@needs_ffmpeg
def test_a_film_that_cannot_be_made_is_one_sentence(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no film")
    film = Film("bad", (Source(tmp_path / "bad.mp4", "real", "g", 9.0, (96, 64)),), (96, 64), "own")
    with pytest.raises(NightjarError, match=r"ffmpeg could not make bad\.mkv"):
        corpus_module.Kitchen(Shelf(corpus.root), [], 0).film(film)


@needs_ffmpeg
def test_a_draw_deals_other_roles_and_the_same_splits(media: Path) -> None:
    first, again, other = (sources_in(media, draw) for draw in (0, 0, 5))
    assert first == again
    assert {s.group: s.split for s in first} == {s.group: s.split for s in other}
    assert {s.group: s.role for s in first} != {s.group: s.role for s in other}


@needs_ffmpeg
@pytest.mark.parametrize("name", EDITS)
def test_ffmpeg_takes_every_edit(name: str, corpus: Corpus, films: list[Film]) -> None:
    """A second of film under each edit, as long as planned; speed takes more or less of the film."""
    by_role = {(film.split, film.role): film for film in films}
    copied, filler = by_role["report", "copied"], by_role["report", "filler"]
    changes = settle((name,), np.random.default_rng(1), copied.size)
    segment = Segment(copied, 50, 25, changes, (filler, 0))
    upload = Upload(f"one-{name}", "report", "real", (name,), (segment,), copied.size)
    kitchen = corpus_module.Kitchen(Shelf(corpus.root), [], 0)
    kitchen.drawings(upload)
    kitchen.upload(upload)
    with av.open(str(corpus.root / "queries" / f"one-{name}.mp4")) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 25
    assert (frames[0].width, frames[0].height) == upload.canvas


def test_too_little_footage_and_unknown_sizes_are_said(media: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="allowed: small, quick, default"):
        build([], tmp_path, "huge")
    if shutil.which("ffprobe"):
        with pytest.raises(UsageError, match="wanted 4 groups or more"):
            sources_of([media / "film0.mp4"])
