"""`cnn-tui export`: a run's model for other programs, and its results as files."""

import shlex
import sys
from collections.abc import Mapping
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Self

import typer

from cnn_engine.errors import ConfigError
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_summary
from cnn_tui.cli.completion import complete_run
from cnn_tui.cli.options import A_MODEL, RUN_HELP, AllowCode, RunsDir, resolve_run
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.text.safe import escaped


class Format(StrEnum):
    """Export formats: name on the command line, description, and module if it exports a model.

    The module is in `cnn_engine.export`; its function `export` returns the files. The other
    formats export results and are defined in `cnn_tui.exports.formats`.
    """

    description: str
    module: str

    def __new__(cls, name: str, description: str, module: str = "") -> Self:
        """Return a member whose value is its name on the command line."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.description, member.module = description, module
        return member

    ONNX = "onnx", "for ONNX Runtime and other runtimes", "onnx_file"
    SAFETENSORS = "safetensors", "weights only", "safetensors_file"
    TORCH_EXPORT = "torch-export", "PyTorch program", "torch_program"
    HTML = "html", "report as one page"
    MARKDOWN = "markdown", "report as text"
    CSV = "csv", "one row per epoch"
    CSV_STEPS = "csv-steps", "one row per logged step"
    CSV_SERIES = "csv-series", "one row per step with logged series"
    CSV_LONG = "csv-long", "one row per value"
    JSON = "json", "all results"
    TENSORBOARD = "tensorboard", "event files"


def _format_help() -> str:
    model, results = (
        ", ".join(f"{to} ({to.description})" for to in Format if bool(to.module) == is_model)
        for is_model in (True, False)
    )
    return f"Model: {model}. Results: {results}."


def export(  # noqa: PLR0913 - one parameter per option
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help=f"{RUN_HELP} The csv formats and tensorboard accept several.",
            autocompletion=complete_run,
        ),
    ],
    to: Annotated[Format, typer.Option(help=_format_help())],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File or directory to write; '-' for standard output. Default: a name that "
            "starts with the run id, in the current directory.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing export.")] = False,
    opset: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --to onnx: version of the operator set. Default: the lowest, for the oldest "
            "runtimes.",
        ),
    ] = None,
    runs_dir: RunsDir = None,
    allow_code: AllowCode = False,
) -> None:
    """Export a run's best model, or its results."""
    need = A_MODEL if to.module else None
    runs = [resolve_run(reference, runs_dir, need) for reference in references]
    if opset is not None and to is not Format.ONNX:
        raise ConfigError(f"--opset: is only for --to onnx, not for --to {to}")
    if not to.module:
        _export_record(runs, to, output, force=force)
    elif len(runs) > 1:
        raise ConfigError(f"--to {to}: takes a single run, not {len(runs)}")
    else:
        options = {"allow_code": allow_code} | ({} if opset is None else {"opset": opset})
        _export_model(runs[0], to, output, force=force, options=options)


def _export_record(
    runs: list[RunDirectory], to: Format, output: Path | None, *, force: bool
) -> None:
    from cnn_tui.exports.formats import export_record
    from cnn_tui.exports.output import STDOUT

    path, damaged_lines = export_record(runs, to, output, force=force)
    if damaged_lines:
        print(f"{damaged_lines} damaged log lines were skipped", file=sys.stderr)
    if path != STDOUT:
        print(escaped(str(path), 4000))


def _export_model(
    run: RunDirectory, to: Format, output: Path | None, *, force: bool, options: Mapping[str, int]
) -> None:
    """Export the model into a folder, with options of the format's module.

    Raises:
        UserError: the run has no usable model, or a library that the format needs is missing.
    """
    from cnn_engine.export.folder import check_target, write_folder

    target = output or Path(f"{run.id}-{to}")
    check_target(target, replace=force)
    with ProgressLine(sys.stderr) as progress:
        progress.write("Loading PyTorch and writing the model")
        module = import_module(f"cnn_engine.export.{to.module}")
        write_folder(target, module.export(run, **options), replace=force)
    print(escaped(str(target), 4000))
    example = escaped(shlex.quote(str(target / "example.py")), 4000)
    print(f"Try it: python {example} IMAGE", file=sys.stderr)
    network = str(read_summary(run).config.get("model", {}).get("name", ""))
    own_module, colon, _ = network.partition(":")
    if to is Format.SAFETENSORS and colon:
        text = f"It needs the module {own_module} in that folder or the current directory"
        print(escaped(text, 1000), file=sys.stderr)
