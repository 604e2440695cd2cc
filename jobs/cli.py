"""The command line: one module a subcommand, one sentence an error."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from model_registry.errors import NightjarError, UsageError

COMMANDS = {
    "demo": "fetch samples and run tonight's recall over them",
    "recall": "the nightly recall over a manifest; resumable",
    "scan": "judge files, folders, globs or URIs now",
    "rescan": "look again at stored nights with a newer bank or lexicon; decodes nothing",
    "judge": "judge a stored night again under another policy",
    "clusters": "find reposts: groups of uploads with the same content, and whose came first",
    "status": "how nights stand: during a run, after it, after a crash",
    "serve": "answer single uploads over HTTP, on Ray Serve",
    "keys": "keys of those who may call the service: create, revoke, list",
    "subtitles": "write what a video says or shows as WebVTT",
    "bank": "the reference bank: add, remove, disable, enable, list, stats, export",
    "lexicon": "make a lexicon of a word list, and try lexicons on lines",
    "models": "list, pull, register, promote and fit models",
    "nightly": "run every night that is due, missed ones too",
    "schedule": "that schedule as a cron entry or a Kubernetes manifest",
    "plan": "how many machines, hours and how much money a night takes",
    "prune": "let features, pictures and transcripts of old nights go; decisions stay",
    "bench": "run the benchmarks",
}


class Parser(argparse.ArgumentParser):
    """argparse with one-sentence errors and examples left as written."""

    def __init__(self, **kwargs: object) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**kwargs)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and where to read more."""
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse a call. Only the module of its subcommand is imported: help and `judge` need no model library."""
    about = "Recall risky and copyright-infringing videos, in bulk by night and on demand."
    parser = Parser(prog="nightjar", description=about)
    parser.add_argument("--version", action="version", version=f"nightjar {version('nightjar')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary)
        if name in argv[:1]:
            job = importlib.import_module(f"jobs.{name}")
            sub.description, sub.epilog = job.__doc__, job.EXAMPLES
            job.add_arguments(sub)
            sub.set_defaults(run=job.run)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one subcommand. Status 0: done; 1: the job failed; 2: the call was wrong."""
    words = sys.argv[1:] if argv is None else argv
    command = words[0] if words else ""
    try:
        args = parse(words)
        status = args.run(args)
    except UsageError as error:
        status = _fail(command, error, 2)
    except NightjarError as error:
        status = _fail(command, error, 1)
    except KeyboardInterrupt:
        status = _fail(command, "interrupted; run the same command again to go on", 130)
    except BrokenPipeError:
        status = 0  # the reader of our output has seen enough
    except OSError as error:
        if not error.strerror:
            raise
        from pipelines.places import redacted

        where = f"{redacted(str(error.filename))}: " if error.filename else ""
        status = _fail(command, f"{where}{error.strerror}", 1)
    sys.exit(status)


def _fail(command: str, error: object, status: int) -> int:
    print(f"nightjar {command}: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
