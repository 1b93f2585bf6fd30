"""Columns of a table of labels: paths of images, their classes, and maybe their split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cnn_engine.config.schema import DataConfig
from cnn_engine.config.suggestion import suggest
from cnn_engine.data.image_files import EXTENSIONS, suffix_of
from cnn_engine.data.sizes import evenly
from cnn_engine.data.sources.image_index import ImageIndex, common_folders
from cnn_engine.data.sources.parts import part_of
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.storage.csv_table import CsvTable
from cnn_engine.texts import listed

PATH_NAMES = (
    "path file_path filepath image_path file filename file_name image_name image image_id img "
    "img_name name id"
).split()
"""Names of columns of paths, in lower case and with `_` for blanks."""

LABEL_NAMES = (
    "label_name class_name category_name label labels class classes category categories target "
    "species breed diagnosis"
).split()
"""Names of columns of classes."""

SPLIT_NAMES = ("split", "set", "subset", "partition", "data_set", "dataset")

MAX_SAMPLED = 200
"""Rows in which columns of paths are looked for."""


@dataclass(frozen=True, kw_only=True)
class LabelColumns:
    """Positions of the columns of a table."""

    path: int
    label: int

    split: int | None
    """None if the table does not split the images."""


def find_columns(table: CsvTable, index: ImageIndex, config: DataConfig) -> LabelColumns:
    """Return the columns that the config names; others are found by their content and name.

    Raises:
        ConfigError: the config names a column that does not exist.
        DataError: there is no such column, or several may be it.
    """
    # A column `image` is not the image image.jpg.
    if any(suffix_of(name) in EXTENSIONS and index.find(name) for name in table.columns):
        raise DataError(
            f"{table.at(1)}: names an image; add a header above it, such as "
            f"{','.join(['path', 'label'] + ['x'] * (len(table.columns) - 2))}"
        )
    path = _given(table, config.path_column, "path_column")
    if path is None:
        path = find_path_column(table, index)
    if path is None:
        raise DataError(
            f"{table.path}: no column names images in {config.path} ({_columns_text(table)}); pass "
            "the folder of the images with --data-dir, or correct the table"
        )
    split = _split_column(table, path)
    label = _given(table, config.label_column, "label_column")
    if label is None:
        label = _only_label(table, label_columns(table, {path, split}))
    return LabelColumns(path=path, label=label, split=split if split != label else None)


def find_path_column(table: CsvTable, index: ImageIndex) -> int | None:
    """Return the column in a sample of whose rows most images are named; None without any."""
    best, most = None, (0, 0)
    for column, name in enumerate(table.columns):
        values = [table.rows[row].cells[column] for row in evenly(len(table.rows), MAX_SAMPLED)]
        common = common_folders(values)
        # Several rows that name one image are labels which look like numbers of images.
        found = {match[0] for value in values if (match := index.find(value, common))}
        score = (len(found), len(PATH_NAMES) - _rank(name, PATH_NAMES))
        if found and score > most:
            best, most = column, score
    return best


def label_columns(table: CsvTable, others: set[int | None]) -> list[int]:
    """Return the columns that may be classes: by name the first only, else all by their content.

    Args:
        table: The table.
        others: Columns that are not classes.
    """
    candidates = [column for column in range(len(table.columns)) if column not in others]
    named = [
        column
        for column in candidates
        if _rank(table.columns[column], LABEL_NAMES) < len(LABEL_NAMES)
    ]
    if named:
        return [min(named, key=lambda column: _rank(table.columns[column], LABEL_NAMES))]
    counts = {column: _counts(table, column) for column in candidates}
    labels = [column for column in candidates if _may_be_label(counts[column])]
    # Several columns of 0 and 1 are one per class.
    binary = [column for column in labels if counts[column].keys() == {"0", "1"}]
    return [column for column in labels if len(binary) < 2 or column not in binary]


def _given(table: CsvTable, name: str | None, key: str) -> int | None:
    """Return the column that a key of the config names; None if it names none.

    Raises:
        ConfigError: the column does not exist.
    """
    if name is None:
        return None
    if name not in table.columns:
        raise ConfigError(
            f"data.{key}: {name!r} is not a column of {table.path}{suggest(name, table.columns)} "
            f"({_columns_text(table)})"
        )
    return table.columns.index(name)


def _only_label(table: CsvTable, labels: Sequence[int]) -> int:
    if len(labels) == 1:
        return labels[0]
    names = listed([table.columns[column] for column in labels])
    problem = f"several columns may be the classes: {names}" if labels else "no column of classes"
    raise DataError(
        f"{table.path}: {problem}; name it with --set data.label_column=COLUMN "
        f"({_columns_text(table)})"
    )


def _split_column(table: CsvTable, path: int) -> int | None:
    """Return the column with a name of splits whose values are mostly names of splits."""
    for column, name in enumerate(table.columns):
        if column != path and _rank(name, SPLIT_NAMES) < len(SPLIT_NAMES):
            counts = _counts(table, column)
            known = sum(count for value, count in counts.items() if part_of(value))
            if known > counts.total() / 2:
                return column
    return None


def _rank(name: str, names: Sequence[str]) -> int:
    """Return the position of a column's name among known ones; their number if it is unknown."""
    word = "_".join(name.lower().replace("-", " ").split())
    return names.index(word) if word in names else len(names)


def _counts(table: CsvTable, column: int) -> Counter[str]:
    """Return how often each value of a column occurs; empty cells are not counted."""
    counts = Counter(row.cells[column].strip() for row in table.rows)
    del counts[""]
    return counts


def _may_be_label(counts: Counter[str]) -> bool:
    """Return True for at least two values that occur twice on average, and are no paths."""
    return 2 <= len(counts) <= counts.total() / 2 and not any("/" in value for value in counts)


def _columns_text(table: CsvTable) -> str:
    return f"columns: {listed([name or '(without a name)' for name in table.columns], 8)}"
