"""What is amiss with a folder of images, in plain words, and what to do about it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from PIL import Image

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.checks.check import CheckedFolder
from cnn_engine.data.checks.image_info import ImageInfo

Severity: TypeAlias = Literal["stop", "warning", "note"]
"""Whether it keeps a run from training, should be looked into, or is just good to know."""

FEW = 20
"""A class of fewer images is hardly learnt."""

UNEVEN = 3.0
"""How many times as many images another class may have before it is said."""

LONG = 2.0
"""Images that are this many times as long as they are wide lose half of it when cropped."""

MISNAMED_ALIKE = {"MPO": "JPEG"}
"""Formats that are others by name only: telephones store photographs so."""


@dataclass(frozen=True, kw_only=True)
class Issue:
    """Something to know of the folder."""

    kind: str
    """A name for scripts, such as `unreadable`."""

    severity: Severity

    text: str
    """What it is, a sentence."""

    advice: str = ""
    """What to do."""

    files: tuple[str, ...] = ()
    """Which files, below the folder; groups of them are joined by ` = ` or ` ~ `."""

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
    """All of them, what keeps a run from training first.

    Args:
        checked: The folder.
        config: How a run would split its images.
    """
    found = [
        *_classes(checked),
        *_split(checked, config),
        *_unreadable(checked),
        *_duplicates(checked, checked.equal, "equal"),
        *_duplicates(checked, checked.near, "near"),
        *_shapes(checked),
        *_formats(checked),
    ]
    order = ("stop", "warning", "note")
    return sorted(found, key=lambda issue: order.index(issue.severity))


def _classes(checked: CheckedFolder) -> Iterator[Issue]:
    counts = dict(zip(checked.listing.classes, checked.counts(test=False), strict=True))
    empty = [name for name, count in counts.items() if not count]
    few = [name for name, count in counts.items() if 0 < count < FEW]
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
            text=f"{_count(few, 'class', 'classes')} of fewer than {FEW} images",
            advice="Add some: so few are hardly learnt, and some of them are held back to test.",
            files=tuple(few),
        )
    least, most = (function(counts, key=counts.__getitem__) for function in (min, max))
    if counts[least] and counts[most] >= UNEVEN * counts[least]:
        yield Issue(
            kind="uneven",
            severity="warning",
            text=f"classes are uneven: {counts[most]:,} images of {most!r}, {counts[least]:,} of "
            f"{least!r}",
            advice="Always guessing the commonest looks good then: read the accuracy per class, "
            "and try --set train.class_weights=balanced.",
        )


def split_counts(checked: CheckedFolder, config: DataConfig) -> tuple[int, int, int]:
    """Images to train on, to validate and to test with, as `dataset.load` splits them."""
    count = sum(checked.counts(test=False))
    test = sum(checked.counts(test=True)) if checked.has_test else int(count * config.test_fraction)
    rest = count if checked.has_test else count - test
    validation = int(rest * config.validation_fraction)
    return rest - validation, validation, test


def _split(checked: CheckedFolder, config: DataConfig) -> Iterator[Issue]:
    count = sum(checked.counts(test=False))
    if not all(split_counts(checked, config)):
        yield Issue(
            kind="too-few",
            severity="stop",
            text=f"{count:,} images are too few to hold some back for validation and test",
            advice="Add images.",
        )


def _unreadable(checked: CheckedFolder) -> Iterator[Issue]:
    if reasons := checked.unreadable():
        yield Issue(
            kind="unreadable",
            severity="warning",
            text=f"{_count(reasons, 'file')} of {len(checked.looks):,} that cannot be used",
            advice="Mend or remove them. The folder preset leaves them out; with "
            'data.unreadable = "stop" a run ends there.',
            files=tuple(f"{checked.path(where)}: {why}" for where, why in reasons.items()),
        )


def _duplicates(
    checked: CheckedFolder, groups: Sequence[list[int]], likeness: Literal["equal", "near"]
) -> Iterator[Issue]:
    """Groups across train and test, across classes, and within a class, told apart."""
    files = checked.listing.files
    leaks, mixed, plain = [], [], []
    for group in groups:
        if len({checked.is_test(position) for position in group}) > 1:
            leaks.append(group)
        elif len({files[position].label for position in group}) > 1:
            mixed.append(group)
        else:
            plain.append(group)
    same, sign = ("the same image", " = ") if likeness == "equal" else ("nearly the same", " ~ ")
    split = "" if checked.has_test else " Split by chance, they may be trained on and tested with."
    kinds = (
        (leaks, "leak", "in train and in test: the test will look too good", "Remove one."),
        (mixed, "classes", "in several classes", "One class alone can be right: remove the other."),
        (plain, "class", "twice or more in a class", f"Keep one of them.{split}"),
    )
    for found, where, text, advice in kinds:
        if found:
            yield Issue(
                kind=f"{likeness}-{where}",
                severity="warning",
                text=f"{same} {text} ({_count(found, 'group')})",
                advice=advice if likeness == "equal" else f"Look at them. {advice}",
                files=tuple(sign.join(map(checked.path, group)) for group in found),
            )


def _shapes(checked: CheckedFolder) -> Iterator[Issue]:
    looks = dict(checked.readable())
    tiny = [where for where, look in looks.items() if 2 * min(look[:2]) < checked.side]
    long = [where for where, look in looks.items() if max(look[:2]) >= LONG * min(look[:2])]
    if tiny:
        yield Issue(
            kind="tiny",
            severity="warning",
            text=f"{_count(tiny, 'image')} of less than half the size that a run takes "
            f"({checked.side} pixels)",
            advice="Enlarged, they are blurred: replace them, or set a smaller data.image_size.",
            files=_names(checked, tiny),
        )
    if checked.blank:
        yield Issue(
            kind="blank",
            severity="warning",
            text=f"{_count(checked.blank, 'image')} of a single shade",
            advice="Nothing can be learnt from them: remove them.",
            files=_names(checked, checked.blank),
        )
    if long:
        yield Issue(
            kind="long",
            severity="note",
            text=f"{_count(long, 'image')} at least twice as long one way as the other, of which "
            "the middle square is kept",
            advice='If what matters is at the ends: data.fit = "pad".',
            files=_names(checked, long),
        )


def _formats(checked: CheckedFolder) -> Iterator[Issue]:
    Image.init()  # before that, Pillow does not know all endings
    named = Image.registered_extensions()
    misnamed, handled = [], {"turned": 0, "animated": 0, "transparent": 0, "other": 0}
    for position, look in checked.readable():
        ending = "." + checked.path(position).rpartition(".")[2].lower()
        if named.get(ending) != MISNAMED_ALIKE.get(look.format, look.format):
            misnamed.append(f"{checked.path(position)}: is {look.format}")
        for kind in _handled(look):
            handled[kind] += 1
    if misnamed:
        yield Issue(
            kind="misnamed",
            severity="note",
            text=f"{_count(misnamed, 'file')} of another format than the name says",
            advice="Nothing need be done: the content counts.",
            files=tuple(misnamed),
        )
    texts = {
        "turned": "turned upright as the camera noted",
        "animated": "animated, of which the first frame counts",
        "transparent": "transparent, put on white",
        "other": "of 16 bits or for print, brought to 8 bits of red, green and blue",
    }
    if parts := [f"{handled[kind]:,} {text}" for kind, text in texts.items() if handled[kind]]:
        yield Issue(kind="handled", severity="note", text="; ".join(parts))


def _handled(look: ImageInfo) -> Iterator[str]:
    if look.is_turned:
        yield "turned"
    if look.is_animated:
        yield "animated"
    if look.is_transparent:
        yield "transparent"
    if look.mode == "CMYK" or look.mode.startswith("I"):
        yield "other"


def _names(checked: CheckedFolder, positions: Sequence[int]) -> tuple[str, ...]:
    return tuple(map(checked.path, positions))


def _count(things: Sequence[object] | dict[int, str], one: str, many: str = "") -> str:
    """`1 file`, `1,234 files`."""
    return f"{len(things):,} {one if len(things) == 1 else many or f'{one}s'}"
