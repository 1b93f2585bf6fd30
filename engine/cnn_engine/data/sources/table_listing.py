"""Listing of the image files whose labels are in a table: CSV or TSV, one row per image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cnn_engine.config.paths import is_file
from cnn_engine.config.schema import DataConfig
from cnn_engine.data.image_files import same_form, suffix_of
from cnn_engine.data.image_search import PassedOver, sort_key, walk_images
from cnn_engine.data.marks import MARKS_FILE
from cnn_engine.data.sources.image_index import ImageIndex, common_folders
from cnn_engine.data.sources.label_columns import LabelColumns, find_columns
from cnn_engine.data.sources.layout import refuse_missing
from cnn_engine.data.sources.layout_texts import similar_names
from cnn_engine.data.sources.listing import (
    PROGRESS_FILES,
    ImageFile,
    Listing,
    relative_to,
    stamp_of,
)
from cnn_engine.data.sources.parts import PARTS, Part, part_of
from cnn_engine.data.sources.table_path import table_path
from cnn_engine.errors import DataError
from cnn_engine.progress import Progress
from cnn_engine.storage.csv_table import CsvRow, CsvTable, read_csv
from cnn_engine.texts import listed

MAX_LINES = 3
"""Maximum number of lines of a table that a message names."""


def list_table(config: DataConfig, progress: Progress) -> Listing:
    """List the images of a table that are below the folder `path`.

    Images of a split are in the order of their paths, so that another label does not change it.

    Args:
        config: Folder, table and columns. With `unreadable = "skip"`, rows whose image is missing
            are skipped.
        progress: Called with the number of files found.

    Raises:
        ConfigError: the config names a column that the table does not have.
        DataError: the folder or the table cannot be read, or a row is wrong; names its line.
    """
    root = Path(config.path or "")
    refuse_missing(root)
    table = read_csv(table_path(config))
    passed_over = PassedOver()
    found = _find_files(root, passed_over, progress)
    _discount_own_files(root, table.path, passed_over)
    found.sort(key=lambda file: sort_key(file.path))
    paths = relative_to(root, [file.path for file in found])
    index = ImageIndex(root, paths)
    columns = find_columns(table, index, config)
    labelled = _Labelled(table, columns, paths, index)
    labelled.add_rows()
    warnings = list(labelled.warnings(config))
    parts = labelled.by_part()
    classes = _classes(table, parts["train"], labelled.labels)
    label_of = {name: label for label, name in enumerate(classes)}
    files = [
        found[position]._replace(label=label_of[labelled.labels[position]])
        for part in PARTS
        for position in sorted(parts[part])
    ]
    return Listing(
        root=root,
        classes=classes,
        files=files,
        train_count=len(parts["train"]),
        val_count=len(parts["val"]),
        warnings=(*warnings, *similar_names(classes), *labelled.many_classes()),
        layout_notices=tuple(labelled.notices()),
        passed_over=passed_over,
    )


def _find_files(root: Path, passed_over: PassedOver, progress: Progress) -> list[ImageFile]:
    """Return all images below a folder, with label 0."""
    found = []
    try:
        for entry in walk_images(str(root), passed_over):
            found.append(ImageFile(entry.path, 0, stamp_of(entry)))
            if len(found) % PROGRESS_FILES == 0:
                progress("looking for images", len(found), 0)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
    if not found:
        raise DataError(f"{root}: contains no images; pass the folder of the images")
    return found


def _discount_own_files(root: Path, table: Path, passed_over: PassedOver) -> None:
    """Do not report the table and the marks as files that are not images."""
    for path in (table, root / MARKS_FILE):
        if is_file(path) and path.resolve().is_relative_to(root.resolve()):
            passed_over.suffixes[suffix_of(path.name)] -= 1
    passed_over.suffixes = +passed_over.suffixes


@dataclass
class _Labelled:
    """Rows of a table, by the image that they name."""

    table: CsvTable
    columns: LabelColumns
    paths: Sequence[str]
    """All images, relative to their folder."""

    index: ImageIndex

    labels: dict[int, str] = field(default_factory=dict)
    """Class of each labelled image, by position."""

    rows: dict[int, CsvRow] = field(default_factory=dict)
    """Row of each labelled image."""

    missing: list[CsvRow] = field(default_factory=list)
    """Rows whose image does not exist."""

    repeated: list[CsvRow] = field(default_factory=list)
    """Rows equal to an earlier one."""

    unlabelled: list[CsvRow] = field(default_factory=list)
    """Rows without a class."""

    def add_rows(self) -> None:
        """Find the image of each row.

        Raises:
            DataError: a row names no image or several, or contradicts another one.
        """
        common = common_folders(self._name(row) for row in self.table.rows)
        for row in self.table.rows:
            name, label = self._name(row), same_form(row.cells[self.columns.label].strip())
            if not name.strip():
                raise DataError(f"{self.table.at(row)}: names no image; add it, or remove the line")
            found = self.index.find(name, common)
            if len(found) > 1:
                several = " and ".join(self.paths[position] for position in found[:2])
                raise DataError(
                    f"{self.table.at(row)}: {name} may be {several}; write the folder, too"
                )
            if not label:
                self.unlabelled.append(row)
            elif not found:
                self.missing.append(row)
            else:
                self._add(row, found[0], label)

    def _add(self, row: CsvRow, position: int, label: str) -> None:
        if position not in self.rows:
            self.labels[position], self.rows[position] = label, row
            return
        first = self.rows[position]
        for noun, one, other in (
            ("class", self.labels[position], label),
            ("split", self._split(first), self._split(row)),
        ):
            if one != other:
                raise DataError(
                    f"{self.table.at(row)}: {self.paths[position]} has the {noun} {other!r}, but "
                    f"{one!r} in line {first.line}; keep one of the lines"
                )
        self.repeated.append(row)

    def by_part(self) -> dict[Part, list[int]]:
        """Return the positions of the labelled images by split; all are in `train` without one.

        Raises:
            DataError: a split has an unknown name.
        """
        parts: dict[Part, list[int]] = {part: [] for part in PARTS}
        for position, row in self.rows.items():
            if self.columns.split is None:
                parts["train"].append(position)
            elif (part := part_of(self._split(row))) is not None:
                parts[part].append(position)
            else:
                column = self.table.columns[self.columns.split]
                raise DataError(
                    f"{self.table.at(row)}: {self._split(row)!r} in column {column} is not train, "
                    "val or test"
                )
        self._check_classes(parts)
        return parts

    def _check_classes(self, parts: dict[Part, list[int]]) -> None:
        known = {self.labels[position] for position in parts["train"]}
        for position in (*parts["val"], *parts["test"]):
            if (label := self.labels[position]) not in known:
                raise DataError(
                    f"{self.table.at(self.rows[position])}: class {label!r} has no training image; "
                    "add some, or remove the line"
                )

    def warnings(self, config: DataConfig) -> Iterator[str]:
        """Yield a text on rows whose images are missing.

        Raises:
            DataError: they are most rows, or are not to be skipped.
        """
        if not self.missing:
            return
        text = (
            f"{self.table.path}: {_rows_text(self.missing)} of {len(self.table.rows):,} "
            f"name{'s' * (len(self.missing) == 1)} no image in {config.path} "
            f"({self._lines(self.missing)})"
        )
        if 2 * len(self.missing) > len(self.table.rows):
            raise DataError(f"{text}; pass the folder of the images, or correct the table")
        if config.unreadable == "stop":
            raise DataError(f"{text}; correct them, or skip them with --set data.unreadable=skip")
        yield text

    def many_classes(self) -> Iterator[str]:
        """Yield a text if the column of classes has a value of its own for most images."""
        count = len(set(self.labels.values()))
        if 2 * count > len(self.labels):
            column = self.table.columns[self.columns.label]
            yield (
                f"column {column!r} of {self.table.path} has {count:,} classes of "
                f"{len(self.labels):,} images; if it is not the class, name that with "
                "--set data.label_column=COLUMN"
            )

    def notices(self) -> Iterator[str]:
        """Yield texts on the columns and on what is not used."""
        names = self.table.columns
        split = self.columns.split
        yield (
            f"classes are in column {names[self.columns.label]!r} of {self.table.path}, images in "
            f"{names[self.columns.path]!r}"
            + (f", splits in {names[split]!r}" if split is not None else "")
        )
        if self.repeated:
            yield f"{_rows_text(self.repeated)} repeat another one ({self._lines(self.repeated)})"
        if self.unlabelled:
            yield (
                f"not used: {_rows_text(self.unlabelled)} without a class "
                f"({self._lines(self.unlabelled)})"
            )
        others = [path for position, path in enumerate(self.paths) if position not in self.rows]
        if others:
            images = "1 image" if len(others) == 1 else f"{len(others):,} images"
            yield f"not used: {images} without a class in {self.table.path} ({listed(others, 3)})"

    def _name(self, row: CsvRow) -> str:
        return row.cells[self.columns.path]

    def _split(self, row: CsvRow) -> str:
        return row.cells[self.columns.split].strip() if self.columns.split is not None else ""

    def _lines(self, rows: list[CsvRow]) -> str:
        return listed([f"line {row.line}: {self._name(row)}" for row in rows], MAX_LINES)


def _rows_text(rows: list[CsvRow]) -> str:
    return "1 row" if len(rows) == 1 else f"{len(rows):,} rows"


def _classes(table: CsvTable, train: list[int], labels: dict[int, str]) -> tuple[str, ...]:
    """Return the classes of the training images, sorted."""
    classes = tuple(sorted({labels[position] for position in train}))
    if len(classes) < 2:
        found = f"only 1 class, {classes[0]}" if classes else "no labelled training image"
        raise DataError(f"{table.path}: has {found}; at least two classes are needed")
    return classes
