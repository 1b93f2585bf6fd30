"""Files that are no images, or of a kind that Pillow cannot read, are named by their content."""

import pytest
from PIL import TiffImagePlugin

from cnn_engine.data.content_type import UNKNOWN
from cnn_engine.data.decode import Unreadable, decode


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC photo; convert it to JPEG"),
        (b"<!DOCTYPE html><html>403</html>", "is a web page, not an image"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"%PDF-1.7\n", "is a PDF"),
        (bytes(128) + b"DICM", "is a DICOM file"),
        (b"this is a text", UNKNOWN),
        (b"\xff\xd8\xff\xe0", UNKNOWN),
        (b"II*\0\x08\0\0\0", UNKNOWN),
    ],
)
def test_reason_names_the_content(tmp_path, content, reason):
    """A HEIC photo or a web page named .jpg is named as such (jmathai/elodie#269)."""
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(Unreadable, match=reason):
        decode(tmp_path / "x.jpg", 16, 3)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_with_many_bands_is_named(tmp_path, order):
    """A satellite image of 13 bands is distinguished from a damaged file."""
    header = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
    tags = TiffImagePlugin.ImageFileDirectory_v2(header)
    values = {256: 4, 257: 4, 258: (16,) * 13, 259: 1, 262: 1, 273: 8, 277: 13, 278: 4, 279: 416}
    for tag, value in values.items():
        tags[tag] = value
    with (tmp_path / "x.tif").open("wb") as file:
        tags.save(file)
    with pytest.raises(Unreadable, match="is a TIFF with 13 bands of 16 bits, which Pillow cannot"):
        decode(tmp_path / "x.tif", 4, 3)
