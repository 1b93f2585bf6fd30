"""Issues of an image folder and how to fix them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from PIL import Image

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.checks.check import CheckedFolder
from cnn_engine.data.checks.image_info import ImageInfo
from cnn_engine.data.image_files import suffix_of
from cnn_engine.data.mirrored import mirrored_text, pairs_by_name
from cnn_engine.data.sources.parts import Part
from cnn_engine.data.split_sizes import held_out_counts, missing_classes_text

Severity: TypeAlias = Literal["stop", "warning", "note"]
"""`stop` prevents training, `warning` may lower accuracy, `note` is information."""

MIN_CLASS_IMAGES = 20
"""Minimum number of images of a class without a warning."""

MAX_CLASS_RATIO = 3.0
"""Minimum ratio of the largest to the smallest class that causes a warning."""

MAX_ASPECT_RATIO = 2.0
"""Aspect ratio at which cropping loses half of the image."""

SAME_FORMAT = {"MPO": "JPEG"}
"""Formats that are decoded as another one: a `.mpo` file is a JPEG with further images."""

DARK_FRACTION = 1 / 4
"""Fraction of the values of 16 bits up to which images count as dark: 14 bits or fewer."""


@dataclass(frozen=True, kw_only=True)
class Issue:
    """An issue of the folder."""

    kind: str
    """Identifier for scripts, such as `unreadable`."""

    severity: Severity

    text: str
    """Description, one sentence."""

    advice: str = ""
    """Suggested fix."""

    files: tuple[str, ...] = ()
    """Affected files, relative to the folder; groups are joined by ` = ` or ` ~ `."""

    def as_dict(self) -> dict[str, object]:
        """Return the issue as plain values, for `--json`."""
        return {
            "kind": self.kind,
            "weight": self.severity,
            "text": self.text,
            "advice": self.advice,
            "files": self.files,
        }


def find_issues(checked: CheckedFolder, config: DataConfig) -> list[Issue]:
    """Return all issues, the most severe first.

    Args:
        checked: The checked folder.
        config: Split of the images.
    """
    found = [
        *_layout(checked),
        *_classes(checked),
        *_split(checked, config),
        *_unreadable(checked),
        *_duplicates(checked, checked.equal, "equal"),
        *_duplicates(checked, checked.near, "near"),
        *_shapes(checked),
        *_dark(checked),
        *_unscaled(checked),
        *_mirrored(checked),
        *_formats(checked),
    ]
    order = ("stop", "warning", "note")
    return sorted(found, key=lambda issue: order.index(issue.severity))


def _layout(checked: CheckedFolder) -> Iterator[Issue]:
    for text in checked.listing.layout.warnings:
        yield Issue(kind="doubtful-class", severity="warning", text=text)
    for text in checked.listing.layout.notices:
        yield Issue(kind="layout", severity="note", text=text)
    passed_over = checked.listing.passed_over
    if text := passed_over.file_text():
        severity: Severity = "warning" if passed_over.has_unsupported() else "note"
        yield Issue(kind="passed-over", severity=severity, text=text)
    for text in passed_over.other_texts():
        yield Issue(kind="passed-over", severity="note", text=text)


def _classes(checked: CheckedFolder) -> Iterator[Issue]:
    counts = dict(zip(checked.listing.classes, checked.counts("train"), strict=True))
    empty = [name for name, count in counts.items() if not count]
    few = [name for name, count in counts.items() if 0 < count < MIN_CLASS_IMAGES]
    if empty:
        yield Issue(
            kind="empty-class",
            severity="stop",
            text=f"{_count(empty, 'class', 'classes')} without a usable image to train on",
            advice="Add images, or remove the folder.",
            files=tuple(empty),
        )
    if few:
        yield Issue(
            kind="few",
            severity="warning",
            text=f"{_count(few, 'class', 'classes')} with fewer than {MIN_CLASS_IMAGES} images",
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
        names = [
            name
            for name, train, held_out in zip(
                checked.listing.classes, counts["train"], counts[part], strict=True
            )
            if train and not held_out
        ]
        if names:
            yield Issue(
                kind=f"no-{part}-image",
                severity="warning",
                text=missing_classes_text(names, part),
                advice="Their accuracy will be unknown in that part.",
                files=tuple(names),
            )


def _unreadable(checked: CheckedFolder) -> Iterator[Issue]:
    if reasons := checked.unreadable():
        yield Issue(
            kind="unreadable",
            severity="warning",
            text=f"{_count(reasons, 'file')} of {len(checked.infos):,} cannot be used",
            advice="Repair or remove them. The folder preset leaves them out; with "
            'data.unreadable = "stop" a run fails.',
            files=tuple(
                f"{checked.paths[position]}: {reason}" for position, reason in reasons.items()
            ),
        )


def _duplicates(
    checked: CheckedFolder, groups: Sequence[list[int]], similarity: Literal["equal", "near"]
) -> Iterator[Issue]:
    """Yield an issue each for duplicates across train and test, across classes, within a class."""
    files = checked.listing.files
    leaks, mixed, plain = [], [], []
    for group in groups:
        if len({checked.part(position) for position in group}) > 1:
            leaks.append(group)
        elif len({files[position].label for position in group}) > 1:
            mixed.append(group)
        else:
            plain.append(group)
    same, sign = ("the same image", " = ") if similarity == "equal" else ("nearly the same", " ~ ")
    held_out = " or ".join(checked.given[1:])
    split = " A random split may put them into both training and test."
    if "test" in checked.given:
        split = ""
    kinds = (
        (
            leaks,
            "leak",
            f"in train and in {held_out}: the {held_out} accuracy will be too high",
            "Remove one.",
        ),
        (mixed, "classes", "in several classes", "Only one class can be right: remove the others."),
        (plain, "class", "duplicated within a class", f"Keep one of them.{split}"),
    )
    for found, scope, text, advice in kinds:
        if found:
            yield Issue(
                kind=f"{similarity}-{scope}",
                severity="warning",
                text=f"{same} {text} ({_count(found, 'group')})",
                advice=advice if similarity == "equal" else f"Review them. {advice}",
                files=tuple(sign.join(_names(checked, group)) for group in found),
            )


def _shapes(checked: CheckedFolder) -> Iterator[Issue]:
    infos = dict(checked.readable())
    tiny = [position for position, info in infos.items() if 2 * min(info[:2]) < checked.side]
    long = [
        position
        for position, info in infos.items()
        if max(info[:2]) >= MAX_ASPECT_RATIO * min(info[:2])
    ]
    if tiny:
        yield Issue(
            kind="tiny",
            severity="warning",
            text=f"{_count(tiny, 'image')} with less than half the size that a run uses "
            f"({checked.side} pixels)",
            advice="Enlarging blurs them: replace them, or set a smaller data.image_size.",
            files=_names(checked, tiny),
        )
    if checked.blank:
        yield Issue(
            kind="blank",
            severity="warning",
            text=f"{_count(checked.blank, 'image')} of a single colour",
            advice="They carry no information: remove them.",
            files=_names(checked, checked.blank),
        )
    if long:
        yield Issue(
            kind="long",
            severity="note",
            text=f"{_count(long, 'image')} with an aspect ratio of 2 or more; only "
            "the central square is used",
            advice='If the object is near the edges: data.fit = "pad".',
            files=_names(checked, long),
        )


def _dark(checked: CheckedFolder) -> Iterator[Issue]:
    deep = {position: info for position, info in checked.readable() if info.white}
    brightest = max((info.max_value for info in deep.values()), default=0)
    dark = [position for position, info in deep.items() if brightest <= DARK_FRACTION * info.white]
    if dark:
        white = deep[dark[0]].white
        yield Issue(
            kind="dark",
            severity="warning",
            text=f"{_count(dark, 'image')} of 16 bits with values up to {brightest:,.0f} of "
            f"{white:,.0f}: nearly black in a run",
            advice=f"Make the greatest value white: --set data.max_value={brightest:.0f}",
            files=_names(checked, dark),
        )


def _unscaled(checked: CheckedFolder) -> Iterator[Issue]:
    infos = dict(checked.readable())
    found = [position for position, info in infos.items() if info.needs_max_value]
    if found:
        brightest = max(infos[position].max_value for position in found)
        yield Issue(
            kind="unscaled",
            severity="stop" if len(found) == len(infos) else "warning",
            text=f"{_count(found, 'image')} of 32 bits with values up to {brightest:g}: not usable "
            "without the value that is white",
            advice=f"Make the greatest value white: --set data.max_value={brightest:g}",
            files=_names(checked, found),
        )


def _mirrored(checked: CheckedFolder) -> Iterator[Issue]:
    classes = checked.listing.classes
    if text := mirrored_text(classes, pairs_by_name(classes), checked.mirrored):
        yield Issue(
            kind="mirrored",
            severity="warning",
            text=f"{text}, and the folder preset flips images at random",
            advice="If left and right matter: --set augment.flip=none",
        )


def _formats(checked: CheckedFolder) -> Iterator[Issue]:
    Image.init()  # Pillow knows all extensions only after this
    named = Image.registered_extensions()
    misnamed, handled = [], {"turned": 0, "animated": 0, "transparent": 0, "other": 0}
    for position, info in checked.readable():
        expected = named.get(suffix_of(checked.paths[position]), info.format)
        if SAME_FORMAT.get(expected, expected) != info.format:
            misnamed.append(f"{checked.paths[position]}: is {info.format}")
        for kind in _handled(info):
            handled[kind] += 1
    if misnamed:
        yield Issue(
            kind="misnamed",
            severity="note",
            text=f"{_count(misnamed, 'file')} with a format that differs from the extension",
            advice="No action needed: the content decides.",
            files=tuple(misnamed),
        )
    texts = {
        "turned": "rotated according to EXIF",
        "animated": "animated: only the first frame is used",
        "transparent": "transparent: drawn on white",
        "other": "16-bit or CMYK: converted to 8-bit RGB",
    }
    if parts := [f"{handled[kind]:,} {text}" for kind, text in texts.items() if handled[kind]]:
        yield Issue(kind="handled", severity="note", text="; ".join(parts))


def _handled(info: ImageInfo) -> Iterator[str]:
    if info.is_turned:
        yield "turned"
    if info.is_animated:
        yield "animated"
    if info.is_transparent:
        yield "transparent"
    if info.mode == "CMYK" or info.max_value:
        yield "other"


def _names(checked: CheckedFolder, positions: Sequence[int]) -> tuple[str, ...]:
    return tuple(checked.paths[position] for position in positions)


def _count(items: Sequence[object] | dict[int, str], one: str, many: str = "") -> str:
    """Return a count with its noun: `1 file`, `1,234 files`."""
    return f"{len(items):,} {one if len(items) == 1 else many or f'{one}s'}"
