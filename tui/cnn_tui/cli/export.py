"""`cnn-tui export`: a run's model for other programs, and its record for people and programs."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnn_engine.errors import ConfigError
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.cli.completion import complete_run
from cnn_tui.cli.options import AllowCode, RunsDir, resolve_run
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.text.safe import safe_text

if TYPE_CHECKING:
    from cnn_engine.export import Files


class Format(StrEnum):
    """What a run can be exported as."""

    ONNX = "onnx"
    SAFETENSORS = "safetensors"
    TORCH_EXPORT = "torch-export"
    HTML = "html"
    MARKDOWN = "markdown"
    CSV = "csv"
    CSV_STEPS = "csv-steps"
    CSV_LONG = "csv-long"
    JSON = "json"
    TENSORBOARD = "tensorboard"


def export(  # noqa: PLR0913 - one parameter per option
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="A run's id, the start of one, or 'latest'; for csv, csv-steps, csv-long and "
            "tensorboard several.",
            autocompletion=complete_run,
        ),
    ],
    to: Annotated[
        Format,
        typer.Option(
            help="The model. onnx: for any runtime. torch-export: for PyTorch. safetensors: "
            "weights alone. The record. html: a page with all there is. markdown: to paste. csv: "
            "a line an epoch; csv-steps: a line for some steps; csv-long: a line a value. json: "
            "all of it. tensorboard: event files.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="What to write. Default: here RUN-FORMAT for a model, RUN.ENDING for a record, "
            "tensorboard/RUN; '-': standard output, for a record that is one file.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    runs_dir: RunsDir = None,
    allow_code: AllowCode = False,
) -> None:
    """Hand a run on: its best model, as a folder with all it takes to use it, or its record."""
    from cnn_tui.exports.formats import RECORD_FORMATS

    found = [resolve_run(reference, runs_dir) for reference in references]
    if to in RECORD_FORMATS:
        _export_record(found, to, output, force=force)
    elif len(found) > 1:
        raise ConfigError(f"--to {to}: takes one run, and there are {len(found)}")
    else:
        _export_model(found[0], to, output, force=force, allow_code=allow_code)


def _export_record(
    found: list[RunDirectory], to: Format, output: Path | None, *, force: bool
) -> None:
    from cnn_tui.exports.formats import export_record
    from cnn_tui.exports.output import STDOUT

    path, damaged = export_record(found, to, output, force=force)
    if damaged:
        print(f"{damaged} lines of the log are damaged, and not in it", file=sys.stderr)
    if path != STDOUT:
        print(safe_text(str(path), 4000))


def _export_model(
    run: RunDirectory, to: Format, output: Path | None, *, force: bool, allow_code: bool
) -> None:
    from cnn_engine.export.folder import check_target, write_folder

    target = output or Path(f"{run.id}-{to}")
    check_target(target, replace=force)
    with ProgressLine(sys.stderr) as progress:
        progress.write("Loading PyTorch, and writing the model")
        write_folder(target, _files(to, run, allow_code=allow_code), replace=force)
    print(safe_text(str(target), 4000))
    example = safe_text(shlex.quote(str(target / "example.py")), 4000)
    print(f"Try it: python {example} IMAGE", file=sys.stderr)


def _files(to: Format, run: RunDirectory, *, allow_code: bool) -> "Files":
    """The export's files.

    Raises:
        UserError: the run has no good model, or a library that the format takes is not installed.
    """
    match to:
        case Format.ONNX:
            from cnn_engine.export import onnx_file

            return onnx_file.export(run, allow_code=allow_code)
        case Format.SAFETENSORS:
            from cnn_engine.export import safetensors_file

            return safetensors_file.export(run, allow_code=allow_code)
        case _:
            from cnn_engine.export import torch_program

            return torch_program.export(run, allow_code=allow_code)
