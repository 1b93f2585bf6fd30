"""Reasons why Pillow does not recognize a file, from its first bytes."""

from pathlib import Path

from PIL import TiffImagePlugin

REASONS = (
    (4, b"ftyphei", "is a HEIC photo; convert it to JPEG"),
    (4, b"ftyphev", "is a HEIC photo; convert it to JPEG"),
    (4, b"ftypmif1", "is a HEIC photo; convert it to JPEG"),
    (0, b"version https://git-lfs", "is a Git LFS pointer; fetch the image with: git lfs pull"),
    (0, b"<!doctype html", "is a web page, not an image; download it again"),
    (0, b"<html", "is a web page, not an image; download it again"),
    (0, b"<svg", "is an SVG drawing; convert it to PNG"),
    (0, b"%pdf", "is a PDF; convert its pages to PNG"),
    (128, b"dicm", "is a DICOM file; convert it to 16-bit PNG"),
    (0, b"8bps", "is a Photoshop file; convert it to PNG"),
    (0, b"\xff\x0a", "is a JPEG XL image; convert it to JPEG"),
    (0, b"\0\0\0\x0cjxl ", "is a JPEG XL image; convert it to JPEG"),
)
"""Position, lower-case bytes, and reason."""

UNKNOWN = "is not an image, or is damaged"

BITS_PER_SAMPLE, SAMPLES_PER_PIXEL = 258, 277


def describe_content(path: str | Path) -> str:
    """Return the reason why Pillow cannot open a file."""
    try:
        with Path(path).open("rb") as file:
            start = file.read(512)
    except OSError:
        return UNKNOWN
    if not start:
        return "is empty"
    lower = start.lower()
    for position, signature, reason in REASONS:
        if lower.startswith(signature, position):
            return reason
    if start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return _describe_tiff(path)
    return UNKNOWN


def _describe_tiff(path: str | Path) -> str:
    try:
        with Path(path).open("rb") as file:
            header = file.read(8)
            if b"+" in header[:4]:  # BigTIFF
                header += file.read(8)
            tags = TiffImagePlugin.ImageFileDirectory_v2(header)
            file.seek(tags.next)
            tags.load(file)
        bands, bits = int(tags.get(SAMPLES_PER_PIXEL, 1)), tags.get(BITS_PER_SAMPLE, (1,))
        deepest = max(bits)
    except Exception:  # noqa: BLE001 - damaged tags raise anything
        return UNKNOWN
    noun = "band" if bands == 1 else "bands"
    return (
        f"is a TIFF with {bands} {noun} of {deepest} bits, which Pillow cannot read; convert it to "
        "8-bit RGB or to 16-bit grey"
    )
