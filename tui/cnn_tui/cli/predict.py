"""`cnn-tui predict`: what a run's model says of images."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from cnn_engine.data.image_files import EXTENSIONS, Named, gather
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.inference.prediction import Prediction, PredictionFailed
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.cli.options import AllowCode, RunReference, RunsDir, resolve_run
from cnn_tui.terminal.interrupts import deferred_interrupts
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.text.numbers import percent
from cnn_tui.text.safe import safe_text

if TYPE_CHECKING:
    from cnn_engine.inference.trained import TrainedModel

STDIN = "-"
"""Stands for a list of files there."""

INTERRUPTED = 130


def predict(  # noqa: PLR0913 - one parameter per option
    reference: RunReference,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...",
            help="Image files, folders of them, or - for a list on stdin: a name a line, or "
            "separated by NUL as find -print0 does.",
        ),
    ],
    top: Annotated[int, typer.Option(min=1, help="How many of the likeliest classes.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON an image.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    no_pictures: Annotated[
        bool, typer.Option("--no-pictures", help="Print lines on a terminal too.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="auto|cpu|cuda|mps", help="Where to compute. Default: as the run did."
        ),
    ] = None,
    allow_code: AllowCode = False,
    runs_dir: RunsDir = None,
) -> None:
    """Classify images with a run's best model, decoded just as it was trained.

    Folders that are named for classes tell which answers are right.

    Files that cannot be read are named on stderr, and the exit code is 3 then.
    """
    if as_json and as_csv:
        raise ConfigError("predict: --json or --csv, not both")
    run = resolve_run(reference, runs_dir)
    tally = Tally(ProgressLine(sys.stderr))
    try:
        with tally.progress as progress:
            found = _gather(images, tally)
            progress.write("Loading PyTorch and the model")
            trained = _load(run, device, allow_code=allow_code)
            from cnn_engine.inference.predict import predict as answers_to

            count = min(top, len(trained.classes))
            tell = _printer(trained.classes, count, as_json, as_csv, pictures=not no_pictures)
            with closing(answers_to(trained, found, count)) as answers:
                _tell_all(answers, len(found), tell, tally)
    except KeyboardInterrupt:
        print(f"cnn-tui: interrupted; {tally.text()}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    if tally.answered + tally.failed > 1:
        print(tally.text(), file=sys.stderr)
    if tally.failed:
        raise typer.Exit(DataError.exit_code)


@dataclass
class Tally:
    """What the answers come to."""

    progress: ProgressLine
    """Makes room for each file that is named."""

    answered: int = 0
    failed: int = 0
    known: int = 0
    """Images whose class their folder tells."""
    right: int = 0

    def add(self, answer: Prediction) -> None:
        """Count an answer."""
        self.answered += 1
        self.known += answer.target is not None
        self.right += answer.target == answer.top[0][0]

    def fail(self, path: str, reason: str) -> None:
        """Count a file that cannot be used, and name it."""
        self.failed += 1
        self.progress.clear()
        print(f"cnn-tui: {safe_text(path, 4000)}: {safe_text(reason, 1000)}", file=sys.stderr)

    def text(self) -> str:
        """`10 images classified, 2 unreadable; 9 of 10 are what their folders say (90.00%)`."""
        text = f"{self.answered:,} image{'s' * (self.answered != 1)} classified"
        if self.failed:
            text += f", {self.failed:,} unreadable"
        if self.known:
            share = percent(self.right / self.known, 2)
            text += f"; {self.right:,} of {self.known:,} are what their folders say ({share})"
        return text


def _gather(names: list[str], tally: Tally) -> list[Named]:
    """The images asked for.

    Raises:
        DataError: there are none.
    """

    def unreadable(error: OSError) -> None:
        tally.fail(str(error.filename), f"cannot be read: {error.strerror}")

    tally.progress.write("Looking for images")
    expanded = chain.from_iterable(_listed() if name == STDIN else [name] for name in names)
    if found := gather(expanded, unreadable):
        return found
    raise DataError(
        f"{' '.join(names)}: no images there (files that end in {' '.join(sorted(EXTENSIONS))})"
    )


def _listed() -> list[str]:
    """The names on stdin: one a line, or separated by NUL."""
    content = sys.stdin.buffer.read() if sys.stdin else b""  # None: closed before Python began
    return [
        os.fsdecode(name) for name in content.split(b"\0" if b"\0" in content else b"\n") if name
    ]


def _load(run: RunDirectory, device: str | None, *, allow_code: bool) -> "TrainedModel":
    """The run's best model, on the device that was asked for.

    Raises:
        ConfigError: it has none yet, there is no such device, or the model is code that is not
            allowed.
        DataError: it is damaged.
    """
    from cnn_engine.config.presets import from_dict
    from cnn_engine.inference.trained import load_trained_model
    from cnn_engine.runs.summary import read_state

    if device is None:
        return load_trained_model(run, allow_code=allow_code)
    tables = read_state(run)[0].config
    tables = {**tables, "train": {**tables.get("train", {}), "device": device}}
    checked = from_dict(tables, allow_code=allow_code)
    return load_trained_model(run, checked.train, allow_code=allow_code)


def _printer(
    classes: Sequence[str], count: int, as_json: bool, as_csv: bool, *, pictures: bool
) -> Callable[[Prediction], None]:
    """What prints an answer with so many classes."""
    from rich.console import Console

    from cnn_tui.reports import predictions
    from cnn_tui.reports.console import has_colors
    from cnn_tui.terminal.ascii import is_ascii_only

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that its encoding lacks
    width = predictions.name_width(classes)
    if as_json:
        return lambda answer: print(predictions.as_json(answer), flush=True)
    if as_csv:
        print(predictions.csv_heading(count))
        return lambda answer: print(predictions.as_csv(answer), flush=True)
    console = Console(highlight=False)
    if (
        pictures
        and has_colors(console)
        and predictions.has_room(width, console.width)
        and not is_ascii_only()
    ):
        return lambda answer: predictions.show(answer, width, console)
    return lambda answer: print(predictions.as_line(answer, width), flush=True)


def _tell_all(
    answers: Iterator[Prediction | PredictionFailed],
    total: int,
    tell: Callable[[Prediction], None],
    tally: Tally,
) -> None:
    """Print what comes, and how far it is.

    Raises:
        KeyboardInterrupt: after the answer in hand.
    """
    to_terminal = sys.stdout is not None and sys.stdout.isatty()
    with deferred_interrupts() as interrupt:
        for done, answer in enumerate(answers, start=1):
            if isinstance(answer, PredictionFailed):
                tally.fail(answer.path, answer.reason)
            else:
                if to_terminal:
                    tally.progress.clear()
                tally.add(answer)
                tell(answer)
            interrupt.check()
            tally.progress.report("classifying", done, total)
