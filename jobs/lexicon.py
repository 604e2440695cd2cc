"""Word lists as people have them: make a lexicon of one, and see what a lexicon finds in a file of lines."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs import progress
from model_registry.errors import NightjarError, UsageError
from model_registry.labels import taxonomy
from pipelines.text.words.hits import Hit
from pipelines.text.words.lexicon import LEXICONS, MOST_TERMS, Language, Lexicons, load_lexicons
from pipelines.text.words.matcher import Matcher
from pipelines.text.words.wordlist import Imported, Refused, how_common, imported, lexicon_text, read_words

EXAMPLES = """examples:
  nightjar lexicon import words.txt --label "Fraud/Off-Platform Lure" --output lures-own.toml
  nightjar lexicon import domains.csv --label "Fraud/Contact Details" --certain --score 0.9 --output domains.toml
  nightjar lexicon import list.json --label Gambling --language zh --sound
  nightjar lexicon test lines.txt
  nightjar lexicon test lines.txt --lexicon lures-own.toml --lexicon domains.toml
  nightjar lexicon test lines.txt --lexicon lures-own.toml --json

`import` reads one term a line, the first column of a CSV file (or the one called term, word, keyword or domain), or a
JSON list of texts (or of objects with one of these keys, or an object of lists; `.jsonl` has one a line). A file may be
of any size: no more of it is kept than the terms, of which a run takes 200,000. Terms, domains and emoji may be mixed.
Every line that cannot be a term is named with its reason; the others are written. `test` prints nothing of lines
without a hit. What is written is a TOML file: edit it, give it to a run with --lexicon."""
WARNED = 20  # terms at most that a warning names one by one
COMMON = 0.002  # of harmless lines: a short term that stands in more of them is warned of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two commands."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=type(parser))
    own = actions.add_parser("import", help="make a lexicon of a word list", epilog=EXAMPLES)
    own.add_argument("file", type=Path, metavar="FILE", help="a word list: text, .csv, .tsv or .json, in UTF-8")
    own.add_argument("--label", required=True, metavar="L", help='what a hit means, such as "Fraud/Off-Platform Lure"')
    own.add_argument("--output", type=Path, metavar="FILE", help="the lexicon to write (default: FILE's name in .toml)")
    own.add_argument("--name", help="the lexicon's name (default: that of the output)")
    own.add_argument("--severity", type=int, default=3, metavar="1-5", help="how grave a hit is (default: 3)")
    own.add_argument("--score", type=float, default=0.5, metavar="S", help="how sure a hit is (default: 0.5)")
    own.add_argument("--language", choices=Language, default="any", help="of the terms (default: any)")
    own.add_argument("--certain", action="store_true", help="a hit settles a line; else it is a suspicion")
    own.add_argument("--sound", action="store_true", help="Chinese terms in other characters of the same sound, too")
    test = actions.add_parser("test", help="show what lexicons find in the lines of a file", epilog=EXAMPLES)
    test.add_argument("file", type=Path, metavar="FILE", help="a text file in UTF-8, one line a text")
    test.add_argument(
        "--lexicon",
        action="append",
        default=[],
        metavar="FILE",
        help="a lexicon, or a folder of them; may be given several times (default: those that come with this version)",
    )
    test.add_argument("--json", action="store_true", help="one JSON object a line of the file that has hits")


def run(args: argparse.Namespace) -> int:
    """Make a lexicon, or try some."""
    return _import(args) if args.action == "import" else _test(args)


# import


def _import(args: argparse.Namespace) -> int:
    taxonomy()[args.label]
    output = args.output or args.file.with_suffix(".toml")
    if output == args.file:
        raise UsageError(f"{output} would be written over the word list: give another --output")
    made = imported(read_words(args.file), _say_refused)
    counts = f"{len(made.terms)} terms, {made.repeated} said twice, {made.refused} refused"
    progress.say(f"{args.file}: {made.rows} lines; {counts}")
    if made.beyond:
        progress.say(
            f"  warning: {made.beyond} more terms have no room: a run takes at most {MOST_TERMS}, the first ones"
        )
    _warn_of_common(made)
    if not made.terms:
        raise UsageError(f"{args.file} has no line that could be a term; nothing was written")
    given = {name: getattr(args, name) for name in ("label", "severity", "language", "score", "certain", "sound")}
    text = lexicon_text(args.name or output.stem, made.terms, given)
    _write(output, text)
    progress.say(f"wrote {output}; try it: nightjar lexicon test LINES --lexicon {output}")
    return 0


def _write(output: Path, text: str) -> None:
    """Write a lexicon that can be loaded, or nothing."""
    part = output.with_name(output.name + ".part")
    try:
        part.write_text(text, "utf-8")
        load_lexicons([part])
        part.replace(output)
    except OSError as error:
        raise NightjarError(f"{output} cannot be written: {error.strerror}") from error
    except UsageError as error:
        raise UsageError(str(error).replace(str(part), str(output))) from error
    finally:
        part.unlink(missing_ok=True)


def _say_refused(each: Refused) -> None:
    """A line with its reason, as soon as it is read."""
    progress.say(f"  line {each.line}: {each.reason}")


def _warn_of_common(made: Imported) -> None:
    """Say what short terms would cost: how many harmless lines they stand in."""
    common = how_common(made.terms, COMMON)
    for term, share in common[:WARNED]:
        progress.say(f"  warning: {term!r} stands in {share:.1%} of harmless lines, each of them a hit; leave it out")
    if len(common) > WARNED:
        progress.say(f"  warning: and {len(common) - WARNED} more terms of one or two letters")


# test


def _test(args: argparse.Namespace) -> int:
    lines = _lines(args.file)
    lexicons = load_lexicons(args.lexicon or [LEXICONS])
    found = [(number, line, hits) for number, (line, hits) in enumerate(_hits(lexicons, lines), 1) if hits]
    if args.json:
        for number, line, hits in found:
            print(
                json.dumps(
                    {"line": number, "text": line, "hits": [_row(line, hit) for hit in hits]}, ensure_ascii=False
                )
            )
    else:
        _print_table(found)
    progress.say(f"{len(found)} of {len(lines)} lines have hits")
    return 0


def _lines(file: Path) -> list[str]:
    try:
        return file.read_bytes().decode("utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: byte {error.start + 1} is not UTF-8; save the file as UTF-8 text") from error


def _hits(lexicons: Lexicons, lines: Sequence[str]) -> Iterable[tuple[str, list[Hit]]]:
    return zip(lines, Matcher(lexicons).match(lines), strict=True)


def _row(line: str, hit: Hit) -> dict[str, object]:
    return {
        "label": hit.label,
        "term": hit.term,
        "found": line[hit.start : hit.end],
        "start": hit.start,
        "end": hit.end,
        "how": str(hit.how),
        "certain": hit.certain,
        "score": round(hit.score, 4),
        "lexicon": hit.lexicon,
    }


def _print_table(found: Sequence[tuple[int, str, list[Hit]]]) -> None:
    """A row a hit; the line is cut around what was found."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("line", "label", "found", "term", "how", "score", "in"):
        table.add_column(title, overflow="ellipsis", no_wrap=title != "in")
    for number, line, hits in found:
        for hit in hits:
            score = f"{hit.score:.2f}{' certain' if hit.certain else ''}"
            around = line[max(0, hit.start - 12) : hit.end + 12]
            cells = (str(number), hit.label, line[hit.start : hit.end], hit.term, str(hit.how), score, around)
            table.add_row(*(Text(cell) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
