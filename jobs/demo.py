"""The main job on embedded defaults: sample videos and models are fetched, tonight's recall runs, a report is left."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa

from jobs import progress, recipes
from jobs.bank_add import add
from jobs.night import How, run_night
from jobs.recall import show
from model_registry.artifacts import artifact, fetch
from pipelines.manifest import manifest_of_paths

EXAMPLES = """examples:
  nightjar demo
  nightjar demo --output /tmp/tonight

Seven videos: five good ones out of open packages, one cut short and one playlist under a video's name, so
that you see what bad input turns into. Two of the good ones are in the reference bank that is built first: one is
uploaded as it is, the other badly compressed. One title lures its viewers away. Fetches some 300 MB the first time;
opens nothing by itself."""

SAMPLES = ("sample-bikes", "sample-big-buck-bunny", "sample-carphone", "sample-carphone-distorted", "sample-city")
REFERENCES = {"bikes.mp4": "Bicycles", "carphone_pristine.mp4": "The Carphone"}  # file -> title
TITLES = {
    "bikes.mp4": "Bicycles full movie, no copyright intended",
    "bigbuckbunny.mp4": "Big Buck Bunny (Blender Foundation, CC-BY 3.0)",
    "carphone_pristine.mp4": "A man in a car",
    "carphone_distorted.mp4": "The same man, badly compressed",
    "cityCC0.mpg": "A city in the evening. For free passes add my WhatsApp, 加.微.信 city888",
    "cut_short.mp4": "Its last third is missing, and with it its index",
    "playlist.mp4": "Not a video: it names other files",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    default = Path("nightjar-demo")
    parser.add_argument("--output", type=Path, default=default, metavar="DIR", help=f"default: {default}/")
    recipes.add_arguments(parser)
    parser.set_defaults(policy="strict")


def run(args: argparse.Namespace) -> int:
    """Fetch, run, print."""
    args.bank = args.bank or args.output / "bank"
    manifest = sample_manifest(args.output / "samples")
    build_bank(args)
    recipe = recipes.from_arguments(args)
    tonight = datetime.now(UTC).date().isoformat()
    folder = args.output / f"dt={tonight}"
    run_night("demo", f"Recall of {tonight}", manifest, recipe, folder, How(show=partial(show, as_json=False))).say()
    progress.say(f"report: {(folder / 'report.html').absolute()}")
    return 0


def build_bank(args: argparse.Namespace) -> None:
    """Put two of the samples in the reference bank; what it holds stays."""
    listed = args.output / "references.csv"
    rows = [f"{args.output / 'samples' / name},{Path(name).stem},{title},show" for name, title in REFERENCES.items()]
    listed.write_text("\n".join(["path,id,title,kind", *rows]) + "\n", "utf-8")
    wanted = argparse.Namespace(**{**vars(args), "paths": [], "metadata": listed, "kind": None})
    for outcome in add(wanted):
        progress.say(f"reference {outcome.id}: {outcome.outcome}")


def sample_manifest(folder: Path) -> pa.Table:
    """Lay the samples out as files, two bad ones among them, with the titles an uploader might give."""
    folder.mkdir(parents=True, exist_ok=True)
    with progress.bar("fetching samples", len(SAMPLES)) as bar:
        for name in SAMPLES:
            path = fetch(artifact(name))
            (folder / path.name).write_bytes(path.read_bytes())
            bar.advance(1, path.name)
    whole = (folder / "bikes.mp4").read_bytes()
    (folder / "cut_short.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "playlist.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nbikes.mp4\n", "utf-8")
    manifest = manifest_of_paths([str(folder)])
    titles = [TITLES.get(name) for name in manifest["video_id"].to_pylist()]
    return manifest.set_column(manifest.schema.get_field_index("title"), "title", pa.array(titles, pa.string()))


if __name__ == "__main__":
    from jobs.cli import main

    main(["demo", *sys.argv[1:]])
