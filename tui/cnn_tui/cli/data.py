"""`cnn-tui data`: check image folders and labels, manage the image cache, download CIFAR-10."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnn_engine.errors import DataError, StorageError
from cnn_tui.cli import mark_images
from cnn_tui.cli.commands import Command, Commands, Group
from cnn_tui.cli.habits import check_folder
from cnn_tui.cli.options import AsJson, as_overrides
from cnn_tui.cli.suspects import find_run_suspects
from cnn_tui.terminal.interrupts import deferred_interrupts
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.terminal.signals import INTERRUPT_EXIT_CODE
from cnn_tui.text.json import to_json
from cnn_tui.text.numbers import bytes_text, date, duration
from cnn_tui.text.safe import escaped

if TYPE_CHECKING:
    from rich.console import Console

    from cnn_engine.config.schema import Config
    from cnn_engine.data.cache import Entry
    from cnn_engine.data.checks.check import CheckedFolder
    from cnn_engine.data.checks.image_info import ImageInfo
    from cnn_engine.data.checks.issue import Issue

data = Commands(
    cls=Group,
    help="Check an image folder; find wrong labels; manage the decoded-image cache; download "
    "CIFAR-10.\n\n"
    "Without a command, list the cache.",
)


data.command(cls=Command)(mark_images.mark)


@data.callback(invoke_without_command=True)
def list_entries(context: typer.Context, as_json: AsJson = False) -> None:
    """List the image folders in the decoded-image cache, the most recently used first."""
    if context.invoked_subcommand is not None:
        return
    from cnn_engine.data import cache

    entries = cache.entries()
    if as_json:
        print(to_json(_as_dict(entries)))
    elif entries:
        _print_table(entries)
        total = bytes_text(sum(entry.bytes for entry in entries))
        limit = bytes_text(cache.LIMIT_BYTES)
        directory = escaped(str(cache.cache_directory()), 500)
        print(f"\n{total} of at most {limit} in {directory}")
    else:
        directory = escaped(str(cache.cache_directory()), 500)
        print(f"No decoded images in {directory} yet", file=sys.stderr)


@data.command(cls=Command)
def clear(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER", help="Image folder whose decoded images are removed. Default: all."
        ),
    ] = None,
) -> None:
    """Clear the decoded-image cache. The next run decodes its images again."""
    from cnn_engine.data import cache

    try:
        removed = cache.clear(folder and folder.resolve())
    except OSError as error:
        raise StorageError(f"{error.filename}: cannot be removed: {error.strerror}") from None
    freed = sum(entry.bytes for entry in removed)
    print(f"{freed:,} bytes freed ({len(removed)} folder{'s' * (len(removed) != 1)})")


@data.command(cls=Command)
def fetch(
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Target directory. Default: the user's data directory."),
    ] = None,
) -> None:
    """Download CIFAR-10 if it is missing, and verify it."""
    from cnn_engine.data.sources import cifar10

    with ProgressLine(sys.stderr) as progress:
        path = str(data_dir) if data_dir else None
        source = cifar10.read(path, progress.report).source
    print(escaped(source, 1000))


@data.command(cls=Command)
def check(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Folder with one subfolder of images per class, or, with --table, of images.",
        ),
    ],
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="CSV file with the path and the class of each image in FOLDER."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a folder of images: contents, problems, fixes."""
    from cnn_engine.config.presets import load_config
    from cnn_engine.data.checks import check as checks
    from cnn_engine.data.checks.issues import find_issues
    from cnn_tui.reports.console import results_console
    from cnn_tui.reports.data_check import print_checked

    check_folder(folder)
    source = "csv" if table is not None else None
    keys = {"data.path": folder, "data.source": source, "data.table": table}
    config = load_config("folder", as_overrides(keys))
    try:
        with ProgressLine(sys.stderr) as progress, deferred_interrupts() as interrupt:

            def report(task: str, done: int, total: int) -> None:
                interrupt.check()
                progress.report(task, done, total)

            checked = checks.check_folder(config.data, report)
        issues = find_issues(checked, config.data)
        has_errors = any(issue.severity == "stop" for issue in issues)
        if as_json:
            seconds = None if has_errors else _training_seconds(checked, config)
            print(to_json(_folder_as_dict(checked, issues, seconds)))
        else:
            console = results_console()
            print_checked(console, checked, issues)
            if not has_errors:
                _print_training_time(console, checked, config)
    except KeyboardInterrupt:
        sys.exit(INTERRUPT_EXIT_CODE)
    sys.exit(DataError.exit_code if has_errors else 0)


data.command("suspects", cls=Command)(find_run_suspects)


def _training_seconds(checked: "CheckedFolder", config: "Config") -> float | None:
    """Return the estimated seconds of a run; None if PyTorch is not installed."""
    from cnn_engine.data.checks.issues import split_counts
    from cnn_engine.runlog.state import INFERENCE_COST

    with ProgressLine(sys.stderr) as progress:
        progress.write("measuring the training speed")
        try:
            from cnn_engine.benchmarks import estimate
        except ImportError:
            return None
        rate = estimate.images_per_second(config, checked.side, len(checked.listing.classes))
    counts = split_counts(checked, config.data)
    images = sum(counts["train"]) + sum(counts["val"]) * INFERENCE_COST
    return config.train.epochs * images / rate


def _print_training_time(console: "Console", checked: "CheckedFolder", config: "Config") -> None:
    seconds = _training_seconds(checked, config)
    if seconds is not None:
        epochs, side = config.train.epochs, checked.side
        console.print(
            f"\nTraining {epochs} epochs with the folder preset takes about {duration(seconds)} "
            f"(measured with random images of {side} × {side} pixels)."
        )


def _folder_as_dict(
    checked: "CheckedFolder", issues: "list[Issue]", seconds: float | None
) -> dict[str, object]:
    from cnn_engine.data.sources.parts import PARTS

    train, val, test = map(checked.counts, PARTS)
    return {
        "folder": str(checked.listing.root),
        "can_train": all(issue.severity != "stop" for issue in issues),
        "files": len(checked.infos),
        "classes": [
            {"name": name, "train": train[label], "val": val[label], "test": test[label]}
            for label, name in enumerate(checked.listing.classes)
        ],
        "image_size": checked.side,
        "training_seconds": seconds,
        "findings": [issue.as_dict() for issue in issues],
        "images": [
            {"path": checked.paths[position]}
            | ({"unreadable": info} if isinstance(info, str) else _info_as_dict(info))
            for position, info in enumerate(checked.infos)
        ],
    }


def _info_as_dict(info: "ImageInfo") -> dict[str, object]:
    return {
        "width": info.width,
        "height": info.height,
        "format": info.format,
        "mode": info.mode,
        "max_value": info.max_value or None,
    }


def _as_dict(entries: list["Entry"]) -> dict[str, object]:
    from cnn_engine.data import cache

    return {
        "directory": str(cache.cache_directory()),
        "bytes": sum(entry.bytes for entry in entries),
        "limit_bytes": cache.LIMIT_BYTES,
        "entries": [
            {
                "folder": entry.index and entry.index.folder,
                "folder_exists": bool(entry.index and Path(entry.index.folder).is_dir()),
                "images": entry.decoded,
                "total_images": entry.index.shape[0] if entry.index else 0,
                "is_finished": entry.is_finished,
                "image_shape": entry.index and entry.index.shape[1:],
                "bytes": entry.bytes,
                "last_used": entry.last_used,
            }
            for entry in entries
        ],
    }


def _print_table(entries: list["Entry"]) -> None:
    from rich.table import Table
    from rich.text import Text

    from cnn_tui.reports.console import results_console

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("images", "size", "bytes"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("last used", no_wrap=True)
    table.add_column("folder", overflow="fold")
    for entry in entries:
        table.add_row(*map(Text, _cells(entry)))
    results_console().print(table)


def _cells(entry: "Entry") -> tuple[str, str, str, str, str]:
    size, used = bytes_text(entry.bytes), date(entry.last_used)
    if entry.index is None:
        return "–", "–", size, used, "damaged, or written by another version"
    count, height, width, channels = entry.index.shape
    folder = escaped(entry.index.folder, 500)
    if not Path(entry.index.folder).is_dir():
        folder += "  (missing)"
    if not entry.is_finished:
        return f"{entry.decoded:,} of {count:,}", f"{height}×{width}×{channels}", size, used, folder
    return f"{count:,}", f"{height}×{width}×{channels}", size, used, folder
