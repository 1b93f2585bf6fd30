"""CSV files with the classes of images that are not in class folders."""

import csv
import os
import shlex
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

MAX_ROWS = 200
"""Maximum number of rows that are examined."""

SCRIPT = (
    "import csv, os, shutil; "
    "[(os.makedirs({out!r} + os.sep + row[{label!r}], exist_ok=True), "
    "shutil.copy(os.path.join({folder!r}, row[{name!r}] + {suffix!r}), "
    "{out!r} + os.sep + row[{label!r}])) "
    "for row in csv.DictReader(open({table!r}, encoding='utf-8-sig'))]"
)
"""Python code that copies images into class folders; after `import`, one line takes no loop."""


def copying_hint(folder: Path, images: Sequence[str]) -> str:
    """Return a command that copies images into class folders; empty without a CSV file of them.

    Args:
        folder: Folder of the images.
        images: Some of their names.
    """
    suffixes = ["", *sorted({Path(name).suffix for name in images})]
    for table in sorted((*folder.glob("*.csv"), *folder.parent.glob("*.csv"))):
        rows = list(islice(_rows(table), MAX_ROWS))
        for name, suffix in ((key, suffix) for key in _columns(rows) for suffix in suffixes):
            # Unlike `Path.is_file`, False for texts too long to be a name.
            if not all(os.path.isfile(folder / f"{row[name]}{suffix}") for row in rows):  # noqa: PTH113
                continue
            if labels := [key for key in _columns(rows) if key != name and _is_label(rows, key)]:
                out = f"{folder}-sorted"
                script = SCRIPT.format(
                    folder=str(folder),
                    table=str(table),
                    out=out,
                    name=name,
                    suffix=suffix,
                    label=labels[0],
                )
                return (
                    f"{table} has their classes in the column {labels[0]}; to copy them into "
                    f"folders in {out}: python3 -c {shlex.quote(script)}"
                )
    return ""


def _rows(table: Path) -> Iterator[dict[str, str]]:
    """Yield the complete rows of a table; none if it cannot be read."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                if None not in row and all(row.values()):
                    yield row
    except (OSError, UnicodeDecodeError, csv.Error):
        return


def _columns(rows: Sequence[dict[str, str]]) -> Sequence[str]:
    return list(rows[0]) if rows else []


def _is_label(rows: Sequence[dict[str, str]], key: str) -> bool:
    """Return True for a column of at least two values that occur twice on average."""
    values = {row[key] for row in rows}
    return 2 <= len(values) <= len(rows) / 2 and not any("/" in value for value in values)
