"""Identity of the images of a run: their pixels, their files, and the programs that decode them."""

from cnn_engine.data.dataset import DataSet

DIGITS = 16
"""Hexadecimal digits of a fingerprint that are recorded."""


def image_values(data: DataSet, fingerprint: str) -> dict[str, str]:
    """Return the values of a run's environment that identify its images, by name.

    Args:
        data: The images.
        fingerprint: Their `fingerprint()`.
    """
    files = data.files_fingerprint()
    values = {**data.decoding, "images": fingerprint[:DIGITS]}
    values |= {"files": files[:DIGITS]} if files else {}
    return values | ({"marks": data.marks} if data.marks else {})
