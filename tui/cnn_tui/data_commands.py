"""`cnn-tui data`: the decoded folders that are kept, and the set that can be downloaded."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cnn_engine import image_cache
from cnn_engine.errors import StorageError
from cnn_engine.image_cache import Entry
from cnn_tui.format import byte_size, date, safe_text
from cnn_tui.progress_line import ProgressLine

data = typer.Typer(
    help="Show and clear the decoded image folders that are kept; download CIFAR-10."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@data.callback(invoke_without_command=True)
def list_entries(context: typer.Context, as_json: AsJson = False) -> None:
    """List the decoded image folders that are kept, the last used first."""
    if context.invoked_subcommand is not None:
        return
    entries = image_cache.entries()
    if as_json:
        print(json.dumps(_as_dict(entries), indent=2))
    elif entries:
        _print_table(entries)
        total = byte_size(sum(entry.bytes for entry in entries))
        limit = byte_size(image_cache.LIMIT_BYTES)
        where = safe_text(str(image_cache.directory()), 500)
        print(f"\n{total} of at most {limit} in {where}")
    else:
        where = safe_text(str(image_cache.directory()), 500)
        print(f"No decoded images in {where} yet", file=sys.stderr)


@data.command()
def clear(
    folder: Annotated[
        Path | None, typer.Argument(help="Only what is kept of this folder. Default: everything.")
    ] = None,
) -> None:
    """Remove decoded images. They are decoded again by the next run that needs them."""
    try:
        removed = image_cache.clear(folder and folder.resolve())
    except OSError as error:
        raise StorageError(f"{error.filename}: cannot be removed: {error.strerror}") from None
    freed = sum(entry.bytes for entry in removed)
    print(f"{freed:,} bytes freed ({len(removed)} folder{'s' * (len(removed) != 1)})")


@data.command()
def fetch(
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where to put it. Default: the user's data directory."),
    ] = None,
) -> None:
    """Download CIFAR-10 unless it is there already, and verify it."""
    from cnn_engine.data import cifar10

    with ProgressLine(sys.stderr) as progress:
        source = cifar10.read(str(data_dir) if data_dir else None, progress.tell).source
    print(safe_text(source, 1000))


def _as_dict(entries: list[Entry]) -> dict[str, object]:
    return {
        "directory": str(image_cache.directory()),
        "bytes": sum(entry.bytes for entry in entries),
        "limit_bytes": image_cache.LIMIT_BYTES,
        "entries": [
            {
                "folder": entry.index and entry.index.folder,
                "folder_exists": bool(entry.index and Path(entry.index.folder).is_dir()),
                "images": entry.index.shape[0] if entry.index else 0,
                "image_shape": entry.index and entry.index.shape[1:],
                "bytes": entry.bytes,
                "last_used": entry.last_used,
            }
            for entry in entries
        ],
    }


def _print_table(entries: list[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console.width = 200
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("images", "size", "bytes"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("last used", no_wrap=True)
    table.add_column("folder", overflow="fold")
    for entry in entries:
        table.add_row(*map(Text, _cells(entry)))
    console.print(table)


def _cells(entry: Entry) -> tuple[str, str, str, str, str]:
    size, used = byte_size(entry.bytes), date(entry.last_used)
    if entry.index is None:
        return "–", "–", size, used, "damaged, or of another version"
    count, height, width, channels = entry.index.shape
    folder = safe_text(entry.index.folder, 500)
    if not Path(entry.index.folder).is_dir():
        folder += "  (no longer there)"
    return f"{count:,}", f"{height}×{width}×{channels}", size, used, folder
