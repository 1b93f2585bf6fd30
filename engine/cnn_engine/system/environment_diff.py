"""Differences between two recorded environments."""

from collections.abc import Mapping

DECODING_NAMES = ("Pillow", "libjpeg", "decoding")
"""Versions that pixels of image files depend on: Pillow, its JPEG library, cnn-tui's `decode`."""

NO_MARKS = "none"
"""Value of `marks`, which runs without marks on their images do not record."""


def environment_diff(current: Mapping[str, str], recorded: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values that differ from the recorded ones, each as `threads: 2, before 4`.

    Names that are missing in `recorded` are not compared, and versions that decode images only if
    the images differ.
    """
    if recorded and ("marks" in current or "marks" in recorded):
        current, recorded = {"marks": NO_MARKS, **current}, {"marks": NO_MARKS, **recorded}
    # Other marks change labels and splits, on which the digests of images and files depend.
    has_same_marks = recorded.get("marks") == current.get("marks")
    has_same_images = recorded.get("images") == current.get("images")
    differences = [
        f"{name}: {value}, before {recorded[name]}"
        for name, value in current.items()
        if recorded.get(name, value) != value
        and name != "images"
        and (has_same_marks or name != "files")
        and not (has_same_images and name in DECODING_NAMES)
    ]
    are_known = "images" in current and "images" in recorded
    if not has_same_images and has_same_marks and are_known:
        if is_decoded_differently(current, recorded):
            differences.append("the same image files are decoded differently")
        else:
            differences.append(f"images: {current['images']}, before {recorded['images']}")
    return tuple(differences)


def is_decoded_differently(current: Mapping[str, str], recorded: Mapping[str, str]) -> bool:
    """Return True if the image files are the same, and the versions that decode them are not."""
    has_same_files = "files" in current and current["files"] == recorded.get("files")
    return has_same_files and has_other_decoding(current, recorded)


def has_other_decoding(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Return True if two environments record that different versions decode the images."""
    return any(one[name] != other.get(name, one[name]) for name in DECODING_NAMES if name in one)
