"""Issues of the images of a folder: unreadable, duplicate, tiny, dark, mirrored, and formats."""

from collections.abc import Iterator, Sequence
from typing import Literal

from PIL import Image

from cnn_engine.data.checks.check import CheckedFolder
from cnn_engine.data.checks.image_info import ImageInfo
from cnn_engine.data.checks.issue import Issue, count_text
from cnn_engine.data.image_files import suffix_of
from cnn_engine.data.mirrored import mirrored_text, pairs_by_name

MAX_ASPECT_RATIO = 2.0
"""Aspect ratio at which cropping loses half of the image."""

SAME_FORMAT = {"MPO": "JPEG"}
"""Formats that are decoded as another one: a `.mpo` file is a JPEG with further images."""

DARK_FRACTION = 1 / 4
"""Fraction of the values of 16 bits up to which images count as dark: 14 bits or fewer."""


def image_issues(checked: CheckedFolder) -> Iterator[Issue]:
    """Yield the issues of the images."""
    yield from _unreadable(checked)
    yield from _duplicates(checked, checked.equal, "equal")
    yield from _duplicates(checked, checked.near, "near")
    yield from _shapes(checked)
    yield from _dark(checked)
    yield from _unscaled(checked)
    yield from _mirrored(checked)
    yield from _formats(checked)


def _unreadable(checked: CheckedFolder) -> Iterator[Issue]:
    if reasons := checked.unreadable():
        yield Issue(
            kind="unreadable",
            severity="warning",
            text=f"{count_text(reasons, 'file')} of {len(checked.infos):,} cannot be used",
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
                text=f"{same} {text} ({count_text(found, 'group')})",
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
            text=f"{count_text(tiny, 'image')} with less than half the size that a run uses "
            f"({checked.side} pixels)",
            advice="Enlarging blurs them: replace them, or set a smaller data.image_size.",
            files=_names(checked, tiny),
        )
    if checked.blank:
        yield Issue(
            kind="blank",
            severity="warning",
            text=f"{count_text(checked.blank, 'image')} of a single colour",
            advice="They carry no information: remove them.",
            files=_names(checked, checked.blank),
        )
    if long:
        yield Issue(
            kind="long",
            severity="note",
            text=f"{count_text(long, 'image')} with an aspect ratio of 2 or more; only "
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
            text=f"{count_text(dark, 'image')} of 16 bits with values up to {brightest:,.0f} of "
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
            text=f"{count_text(found, 'image')} of 32 bits with values up to {brightest:g}: not "
            "usable without the value that is white",
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
            text=f"{count_text(misnamed, 'file')} with a format that differs from the extension",
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
