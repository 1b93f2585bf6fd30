"""The formats of `cnn-tui export` for a run's record, by their name on the command line."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.export.folder import check_target
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.exports.csv_tables import write_epochs, write_long, write_series, write_steps
from cnn_tui.exports.html_report import write_html
from cnn_tui.exports.json_record import write_json
from cnn_tui.exports.markdown import write_markdown
from cnn_tui.exports.output import STDOUT, text_output
from cnn_tui.exports.record import Record, read_record
from cnn_tui.exports.tensorboard import write_tensorboard


class ExportResult(NamedTuple):
    """A finished export."""

    path: Path
    damaged_lines: int
    """Unreadable lines of the logs, missing from the export."""


class TextFormat(NamedTuple):
    """A format that consists of one text file."""

    suffix: str
    """End of the default file name, after the run's id."""

    write: Callable[[Sequence[Record], TextIO], None]
    accepts_several: bool = False
    """True if one file can hold several runs."""


def _single_run(
    write: Callable[[Record, TextIO], None],
) -> Callable[[Sequence[Record], TextIO], None]:
    return lambda records, out: write(records[0], out)


TEXT_FORMATS = {
    "csv": TextFormat(".csv", write_epochs, accepts_several=True),
    "csv-steps": TextFormat("-steps.csv", write_steps, accepts_several=True),
    "csv-series": TextFormat("-series.csv", write_series, accepts_several=True),
    "csv-long": TextFormat("-long.csv", write_long, accepts_several=True),
    "json": TextFormat(".json", _single_run(write_json)),
    "html": TextFormat(".html", _single_run(write_html)),
    "markdown": TextFormat(".md", _single_run(write_markdown)),
}
TENSORBOARD = "tensorboard"
RECORD_FORMATS = (*TEXT_FORMATS, TENSORBOARD)


def export_record(
    runs: Sequence[RunDirectory], to: str, path: Path | None, *, force: bool = False
) -> ExportResult:
    """Export the record of one or several runs.

    Args:
        runs: One run, or several if the format accepts them.
        to: One of `RECORD_FORMATS`.
        path: File or directory; None for a name that starts with the first run's id, in the
            working directory; `-` for standard output.
        force: Replace an existing file.

    Raises:
        ConfigError: the format takes a single run or no standard output, or the file exists.
        StorageError: the export cannot be written, or a log cannot be read.
    """
    if to == TENSORBOARD:
        return _export_tensorboard(runs, path, force=force)
    text_format = TEXT_FORMATS[to]
    if len(runs) > 1 and not text_format.accepts_several:
        raise ConfigError(f"--to {to}: takes a single run, not {len(runs)}")
    path = path or Path(f"{runs[0].id}{text_format.suffix}")
    if path != STDOUT:
        check_target(path, replace=force)  # before a long log is read
    records = _read_records(runs)
    with text_output(path, force=force) as out:
        text_format.write(records, out)
    return _result(path, records)


def _export_tensorboard(
    runs: Sequence[RunDirectory], path: Path | None, *, force: bool
) -> ExportResult:
    """Write one directory per run into a parent directory for `tensorboard --logdir`."""
    if path == STDOUT:
        raise ConfigError(f"--to {TENSORBOARD}: writes a directory; name it with -o")
    directory = path or Path("tensorboard")
    for run in runs:
        check_target(directory / run.id, replace=force)
    records = _read_records(runs)
    for record in records:
        try:
            write_tensorboard(record, directory / record.run.id)
        except OSError as error:
            raise StorageError(f"{directory}: cannot be written: {error.strerror}") from None
    return _result(directory, records)


def _result(path: Path, records: list[Record]) -> ExportResult:
    return ExportResult(path, sum(record.summary.damaged_lines for record in records))


def _read_records(runs: Sequence[RunDirectory]) -> list[Record]:
    records = []
    for run in runs:
        try:
            records.append(read_record(run))
        except OSError as error:
            raise StorageError(f"run {run.id}: cannot be read: {error.strerror}") from None
    return records
