"""`cnn-tui predict`: classify images with a run's best model."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from cnn_engine.config.paths import expand_home
from cnn_engine.data.image_files import EXTENSIONS
from cnn_engine.data.image_search import PassedOver, RequestedImage, find_images
from cnn_engine.data.sources.training_images import count_training_images
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.inference.prediction import Prediction, PredictionFailed
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.cli.habits import check_images
from cnn_tui.cli.options import A_MODEL, AllowCode, RunReference, RunsDir, resolve_run
from cnn_tui.terminal.interrupts import deferred_interrupts
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.terminal.signals import INTERRUPT_EXIT_CODE
from cnn_tui.text.numbers import percent
from cnn_tui.text.safe import escaped

if TYPE_CHECKING:
    from cnn_engine.inference.trained import TrainedModel

STDIN = "-"
"""Argument that stands for a list of files on stdin."""


def predict(  # noqa: PLR0913 - one parameter per option
    reference: RunReference,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE...",  # as for a required one, whose error `check_images` words
            help="Image files, folders, or - for a list on stdin, one name per line or separated "
            "by NUL as from find -print0.",
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Number of classes per image.")] = 5,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON per image.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    no_pictures: Annotated[
        bool, typer.Option("--no-pictures", help="Print only lines, without pictures.")
    ] = False,
    invert: Annotated[
        bool,
        typer.Option("--invert", help="Invert the images, for dark digits on white paper."),
    ] = False,
    why: Annotated[
        bool,
        typer.Option("--why", help="Show which parts of an image speak for its class."),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(metavar="auto|cpu|cuda|mps", help="Device. Default: the one in the config."),
    ] = None,
    allow_code: AllowCode = False,
    runs_dir: RunsDir = None,
) -> None:
    """Classify images with a run's best model.

    Images are decoded as in training. If their folders are named after
    classes, correct predictions are counted.

    Unreadable files are listed on stderr and set exit code 3.
    """
    if as_json and as_csv:
        raise ConfigError("predict: --json and --csv cannot be used together")
    if why and (as_csv or no_pictures):
        option = "--csv" if as_csv else "--no-pictures"
        raise ConfigError(
            f"predict: --why draws pictures, {option} has none; use --json for numbers"
        )
    check_images(reference, images or [])
    run = resolve_run(reference, runs_dir, A_MODEL)
    tally = Tally(ProgressLine(sys.stderr))
    try:
        with tally.progress as progress:
            files = _find_images(images or [], tally)
            progress.write("Loading PyTorch and the model")
            trained = _load(run, device, allow_code=allow_code)
            from cnn_engine.inference.predict import predict as predict_images

            count = min(top, len(trained.classes))
            show = _printer(
                trained.classes, count, as_json, as_csv, pictures=not no_pictures, why=why
            )
            found = predict_images(
                trained, files, count, invert=invert, why=tally.note_once if why else None
            )
            with closing(found) as predictions:
                _print_all(predictions, len(files), show, tally)
    except KeyboardInterrupt:
        print(f"cnn-tui: interrupted; {tally.text()}", file=sys.stderr)
        raise typer.Exit(INTERRUPT_EXIT_CODE) from None
    if tally.classified + tally.failed > 1:
        print(tally.text(), file=sys.stderr)
    if tally.labelled and (text := _training_hint(trained, files)):
        print(text, file=sys.stderr)
    if 2 * tally.inverted > tally.classified:
        print(_inversion_hint(trained, invert=invert), file=sys.stderr)
    if tally.failed:
        raise typer.Exit(DataError.exit_code)


@dataclass
class Tally:
    """Counts of classified images, correct predictions and unreadable files."""

    progress: ProgressLine
    """Line that is cleared before an error is printed."""

    classified: int = 0
    failed: int = 0
    labelled: int = 0
    """Images whose folder is named after a class."""

    correct: int = 0

    inverted: int = 0
    """Images that look like inverted training images."""

    noted: set[str] = field(default_factory=set)
    """Texts printed by `note_once`."""

    def add(self, prediction: Prediction) -> None:
        """Count a prediction."""
        self.classified += 1
        self.labelled += prediction.target is not None
        self.correct += prediction.target == prediction.top[0][0]
        self.inverted += prediction.looks_inverted

    def fail(self, path: str, reason: str) -> None:
        """Count and print a file that cannot be used."""
        self.failed += 1
        self.progress.clear()
        print(f"cnn-tui: {escaped(path, 4000)}: {escaped(reason, 1000)}", file=sys.stderr)

    def note(self, text: str) -> None:
        """Print a text."""
        self.progress.clear()
        print(f"cnn-tui: {escaped(text, 1000)}", file=sys.stderr)

    def note_once(self, text: str) -> None:
        """Print a text, the same one once only."""
        if text not in self.noted:
            self.noted.add(text)
            self.note(text)

    def text(self) -> str:
        """Return `10 images classified, 2 unreadable; 9 of 10 correct by folder name (90.00%)`."""
        text = f"{self.classified:,} image{'s' * (self.classified != 1)} classified"
        if self.failed:
            text += f", {self.failed:,} unreadable"
        if self.labelled:
            accuracy = percent(self.correct / self.labelled, 2)
            text += f"; {self.correct:,} of {self.labelled:,} correct by folder name ({accuracy})"
        return text


def _find_images(names: list[str], tally: Tally) -> list[RequestedImage]:
    """Return the image files.

    Raises:
        DataError: there are none.
    """

    def report_unreadable(error: OSError) -> None:
        tally.fail(str(error.filename), f"cannot be read: {error.strerror}")

    tally.progress.write("Looking for images")
    expanded = chain.from_iterable(
        _read_names() if name == STDIN else [expand_home(name)] for name in names
    )
    passed_over = PassedOver()
    found = find_images(expanded, passed_over, report_unreadable)
    for text in passed_over.texts():
        tally.note(text)
    if found:
        return found
    endings = " ".join(sorted(EXTENSIONS))
    raise DataError(f"{' '.join(names)}: no images found (files that end in {endings})")


def _read_names() -> list[str]:
    """Return the file names on stdin, one per line or separated by NUL."""
    content = sys.stdin.buffer.read()
    separator = b"\0" if b"\0" in content else b"\n"
    return [os.fsdecode(name) for name in content.split(separator) if name]


def _load(run: RunDirectory, device: str | None, *, allow_code: bool) -> "TrainedModel":
    """Return the run's best model on the given device.

    Raises:
        ConfigError: there is no model yet, the device does not exist, or the run's own network
            may not be imported.
        DataError: the checkpoint is damaged.
    """
    from cnn_engine.config.presets import from_dict
    from cnn_engine.inference.trained import load_trained_model
    from cnn_engine.runs.summary import read_state

    if device is None:
        return load_trained_model(run, allow_code=allow_code)
    tables = read_state(run)[0].config
    tables = {**tables, "train": {**tables.get("train", {}), "device": device}}
    config = from_dict(tables, allow_code=allow_code)
    return load_trained_model(run, config.train, allow_code=allow_code)


def _training_hint(trained: "TrainedModel", files: Sequence[RequestedImage]) -> str:
    """Return a text on files among the images of the training; empty if there are none."""
    data = trained.config.data
    count = count_training_images((file.path for file in files), data)
    if not count:
        return ""
    images = "This image is" if len(files) == 1 else f"{count:,} of these images are"
    return (
        f"{images} in the folder of the run's training images ({escaped(data.path or '', 1000)}): "
        "most of those were trained on, so the accuracy on new images is likely lower"
    )


def _inversion_hint(trained: "TrainedModel", *, invert: bool) -> str:
    shades = ("bright", "dark") if trained.brightness[0] < 0.5 else ("dark", "bright")
    fix = "leave out" if invert else "try"
    return (
        f"These images are {shades[0]} where those of the training are {shades[1]}: {fix} --invert"
    )


def _printer(  # noqa: PLR0913 - the form of the output
    classes: Sequence[str],
    count: int,
    as_json: bool,
    as_csv: bool,
    *,
    pictures: bool,
    why: bool,
) -> Callable[[Prediction], None]:
    """Return the function that prints a prediction with its `count` most likely classes."""
    from cnn_tui.reports import predictions
    from cnn_tui.reports.console import has_colors, make_console
    from cnn_tui.terminal.ascii import for_locale

    width = predictions.name_width(classes)
    if as_json:
        return lambda prediction: print(predictions.as_json(prediction, why=why), flush=True)
    if as_csv:
        print(predictions.csv_heading(count))
        return lambda prediction: print(predictions.as_csv(prediction), flush=True)
    console = make_console()
    colors = has_colors(console)
    if pictures and (colors or why) and predictions.has_room(width, console.width):
        return lambda prediction: predictions.show(prediction, width, console, colors=colors)
    if why:
        print("cnn-tui: the terminal is too narrow for the pictures of --why", file=sys.stderr)
    # Programs that read the lines get the names and paths as they are.
    out = for_locale(sys.stdout) if console.is_terminal else sys.stdout
    return lambda prediction: print(predictions.as_line(prediction, width), file=out, flush=True)


def _print_all(
    predictions: Iterator[Prediction | PredictionFailed],
    total: int,
    show: Callable[[Prediction], None],
    tally: Tally,
) -> None:
    """Print each prediction as soon as it is made, and the progress.

    Raises:
        KeyboardInterrupt: after the current prediction.
    """
    is_terminal = sys.stdout.isatty()
    with deferred_interrupts() as interrupt:
        for done, prediction in enumerate(predictions, start=1):
            if isinstance(prediction, PredictionFailed):
                tally.fail(prediction.path, prediction.reason)
            else:
                if is_terminal:
                    tally.progress.clear()
                tally.add(prediction)
                show(prediction)
            interrupt.check()
            tally.progress.report("classifying", done, total)
