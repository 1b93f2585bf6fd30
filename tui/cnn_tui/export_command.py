"""`cnn-tui export`: a run's model for other programs."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnn_engine import runs
from cnn_engine.runs import RunDirectory
from cnn_tui.format import safe_text
from cnn_tui.options import AllowCode, RunReference, RunsDir
from cnn_tui.progress_line import ProgressLine

if TYPE_CHECKING:
    from cnn_engine.export import Files


class Format(StrEnum):
    """What a run can be exported as."""

    ONNX = "onnx"
    SAFETENSORS = "safetensors"
    TORCH_EXPORT = "torch-export"


def export(  # noqa: PLR0913, PLR0917 - one parameter per option
    reference: RunReference,
    to: Annotated[
        Format,
        typer.Option(
            help="onnx: for any runtime. torch-export: for PyTorch. safetensors: weights alone."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder to make. Default: ./RUN-FORMAT."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    runs_dir: RunsDir = None,
    allow_code: AllowCode = False,
) -> None:
    """Make a folder of a run's best model, its labels and preparation, and an example that runs."""
    from cnn_engine.export.folder import check_target, write_folder

    run = runs.find(runs_dir or runs.default_runs_dir(), reference)
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
        case Format.TORCH_EXPORT:
            from cnn_engine.export import torch_program

            return torch_program.export(run, allow_code=allow_code)
