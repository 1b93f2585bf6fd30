"""Issues of an image folder and how to fix them."""

from collections.abc import Iterator

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.applied_marks import apply_marks
from cnn_engine.data.checks.check import CheckedFolder
from cnn_engine.data.checks.image_issues import image_issues
from cnn_engine.data.checks.issue import Issue, Severity, count_text
from cnn_engine.data.marks import find_marks
from cnn_engine.data.sources.parts import Part
from cnn_engine.data.split_sizes import held_out_counts, missing_classes_text
from cnn_engine.errors import DataError

MIN_CLASS_IMAGES = 20
"""Minimum number of images of a class without a warning."""

MAX_CLASS_RATIO = 3.0
"""Minimum ratio of the largest to the smallest class that causes a warning."""


def find_issues(checked: CheckedFolder, config: DataConfig) -> list[Issue]:
    """Return all issues, the most severe first.

    Args:
        checked: The checked folder.
        config: Split of the images.
    """
    found = [
        *_layout(checked),
        *_marks(checked, config),
        *_classes(checked),
        *_split(checked, config),
        *image_issues(checked),
    ]
    order = ("stop", "warning", "note")
    return sorted(found, key=lambda issue: order.index(issue.severity))


def _layout(checked: CheckedFolder) -> Iterator[Issue]:
    for text in checked.listing.warnings:
        yield Issue(kind="doubtful-class", severity="warning", text=text)
    for text in checked.listing.layout_notices:
        yield Issue(kind="layout", severity="note", text=text)
    passed_over = checked.listing.passed_over
    if text := passed_over.file_text():
        severity: Severity = "warning" if passed_over.has_unsupported() else "note"
        yield Issue(kind="passed-over", severity=severity, text=text)
    for text in passed_over.other_texts():
        yield Issue(kind="passed-over", severity="note", text=text)


def _marks(checked: CheckedFolder, config: DataConfig) -> Iterator[Issue]:
    """Yield an issue if there are marks on the images."""
    try:
        if (file := find_marks(config)) is None:
            return
        listing = checked.listing
        labels = [image.label for image in listing.files]
        applied = apply_marks(file, checked.paths, labels, listing.classes)
    except DataError as error:
        yield Issue(kind="marks", severity="stop", text=str(error))
        return
    yield Issue(
        kind="marks",
        severity="warning" if applied.missing else "note",
        text=applied.notice(range(listing.train_count + listing.val_count, len(listing.files))),
        advice="Counts are without marks. To train without them: --set data.marks=ignore",
        files=tuple(checked.paths[position] for position in sorted(applied.dropped)),
    )


def _classes(checked: CheckedFolder) -> Iterator[Issue]:
    counts = dict(zip(checked.listing.classes, checked.counts("train"), strict=True))
    empty = [name for name, count in counts.items() if not count]
    few = [name for name, count in counts.items() if 0 < count < MIN_CLASS_IMAGES]
    if empty:
        yield Issue(
            kind="empty-class",
            severity="stop",
            text=f"{count_text(empty, 'class', 'classes')} without a usable image to train on",
            advice="Add images, or remove the folder.",
            files=tuple(empty),
        )
    if few:
        yield Issue(
            kind="few",
            severity="warning",
            text=f"{count_text(few, 'class', 'classes')} with fewer than {MIN_CLASS_IMAGES} images",
            advice="Add images: a class this small is hard to learn, and part of it is held out "
            "for the test.",
            files=tuple(few),
        )
    smallest, largest = (function(counts, key=counts.__getitem__) for function in (min, max))
    if counts[smallest] and counts[largest] >= MAX_CLASS_RATIO * counts[smallest]:
        yield Issue(
            kind="uneven",
            severity="warning",
            text=f"classes are unbalanced: {counts[largest]:,} images of {largest!r}, "
            f"{counts[smallest]:,} of {smallest!r}",
            advice="Always predicting the majority class then looks good: read the accuracy per "
            "class, and try --set train.class_weights=balanced.",
        )


def split_counts(checked: CheckedFolder, config: DataConfig) -> dict[Part, list[int]]:
    """Return the number of images per part and class, as `load_dataset` splits them."""
    train, val, test = (checked.counts(part) for part in ("train", "val", "test"))
    if not any(test):
        reserve = 1 if any(val) else 2
        test = held_out_counts(train, config.test_fraction, reserve)
        train = [count - held_out for count, held_out in zip(train, test, strict=True)]
    if not any(val):
        val = held_out_counts(train, config.validation_fraction)
        train = [count - held_out for count, held_out in zip(train, val, strict=True)]
    return {"train": train, "val": val, "test": test}


def _split(checked: CheckedFolder, config: DataConfig) -> Iterator[Issue]:
    counts = split_counts(checked, config)
    if not all(map(any, counts.values())):
        yield Issue(
            kind="too-few",
            severity="stop",
            text=f"{sum(checked.counts('train')):,} images are too few for a validation and a test "
            "split",
            advice="Add images.",
        )
        return
    for part in ("val", "test"):
        by_class = {
            name: held_out
            for name, train, held_out in zip(
                checked.listing.classes, counts["train"], counts[part], strict=True
            )
            if train
        }
        if text := missing_classes_text(by_class, part):
            yield Issue(
                kind=f"no-{part}-image",
                severity="warning",
                text=text,
                advice="The accuracy of these classes will be unknown in that part.",
                files=tuple(name for name, count in by_class.items() if not count),
            )
