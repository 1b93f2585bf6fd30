"""Effect of marks on a data set: images that are left out, and labels that change."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cnn_engine.config.suggestion import suggest
from cnn_engine.data.image_files import same_form
from cnn_engine.data.marks import MarksFile
from cnn_engine.errors import DataError
from cnn_engine.texts import listed

MIN_FOREIGN = 10
"""Marks of unknown images from which on, if they are the majority, they are of another data set."""

DIGITS = 8
"""Hexadecimal digits of the digest of marks."""


@dataclass(frozen=True, kw_only=True)
class AppliedMarks:
    """Marks resolved to positions of images."""

    file: MarksFile

    dropped: frozenset[int]
    """Positions of images that are left out."""

    labels: dict[int, int]
    """New labels of relabelled images, by position."""

    missing: tuple[str, ...]
    """Names of marked images that the data set does not have."""

    digest: str
    """Digest of the images that are left out, and of the new labels."""

    def summary(self, test: Collection[int]) -> str:
        """Return `12 dropped, 3 relabelled, 2 of them test images`; empty if nothing changes.

        Args:
            test: Positions of the test images, without marks.
        """
        counts = {"dropped": len(self.dropped), "relabelled": len(self.labels)}
        texts = [f"{count:,} {verb}" for verb, count in counts.items() if count]
        if tested := sum(image in self.dropped or image in self.labels for image in test):
            texts.append(f"{tested:,} of them {'test images' if tested > 1 else 'a test image'}")
        return ", ".join(texts)

    def identity(self, test: Collection[int]) -> str:
        """Return the summary with the digest; empty if nothing changes."""
        return f"{self.summary(test)} ({self.digest})" if self.digest else ""

    def notice(self, test: Collection[int]) -> str:
        """Return a text on the effect of the marks, and on marked images that are gone."""
        summary = self.summary(test)
        text = f"marks in {self.file.path}: {summary or 'no image is dropped or relabelled'}"
        if "test image" in summary:
            text += (
                "; this test is not comparable with those of other runs, and looks better than the "
                "model is if the images were chosen by its mistakes"
            )
        if not (count := len(self.missing)):
            return text
        subject = "1 marked image is" if count == 1 else f"{count:,} marked images are"
        return f"{text}; {subject} gone, renamed or unreadable ({listed(self.missing, 3)})"


def apply_marks(
    file: MarksFile, paths: Sequence[str], labels: Sequence[int], classes: Sequence[str]
) -> AppliedMarks:
    """Resolve marks to the positions of images.

    Args:
        file: The marks.
        paths: File of each image, relative to the directory of the images.
        labels: Given label of each image.
        classes: Names of the classes.

    Raises:
        DataError: an image is relabelled as a class that does not exist, or most of the images do
            not exist.
    """
    label_of = {same_form(name): label for label, name in enumerate(classes)}
    position_of = {path: position for position, path in enumerate(paths) if path in file.marks}
    missing = tuple(name for name in file.marks if name not in position_of)
    if len(missing) >= MIN_FOREIGN and len(missing) > len(file.marks) / 2:
        raise DataError(
            f"{file.path}: {len(missing):,} of {len(file.marks):,} marked images do not exist "
            f"({listed(missing, 3)}): are they marks of another data set? Remove the file, or "
            "train without marks: --set data.marks=ignore"
        )
    dropped, new_labels, changes = set(), {}, []
    for name, (mark, class_name) in file.marks.items():
        if mark == "relabel" and same_form(class_name) not in label_of:
            raise DataError(
                f"{file.path}: {name} is relabelled as {class_name!r}, which is not a class"
                f"{suggest(class_name, classes)} (classes: {listed(classes)})"
            )
        if name not in position_of:
            continue
        position = position_of[name]
        label = label_of[same_form(class_name)] if mark == "relabel" else labels[position]
        if mark == "drop":
            dropped.add(position)
            changes.append(f"{name}\0")
        elif label != labels[position]:
            new_labels[position] = label
            changes.append(f"{name}\0{classes[label]}")
    content = "\n".join(sorted(changes)).encode(errors="surrogateescape")
    return AppliedMarks(
        file=file,
        dropped=frozenset(dropped),
        labels=new_labels,
        missing=missing,
        digest=hashlib.sha256(content).hexdigest()[:DIGITS] if changes else "",
    )
