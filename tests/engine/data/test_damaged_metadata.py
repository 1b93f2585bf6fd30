"""Metadata that is damaged or large never costs an image."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from cnn_engine.data import preprocess
from cnn_engine.data.checks.image_info import ImageInfo, inspect_image
from cnn_engine.data.decode import Unreadable, decode
from terminal import environment

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")  # as the program itself does

TRUNCATED_EXIF = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x0f\x01"
FOREIGN_EXIF = b"Exif\0\0" + b"\0\x08\0\2\1\x12\0\3" * 2

FORMATS = {
    "JPEG": {"dpi": (72, 72)},
    "JPEG without a resolution": {},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "TIFF with LZW": {"compression": "tiff_lzw"},
}


def picture():
    return Image.radial_gradient("L").resize((40, 24)).convert("RGB")


def saved(format_, **options):
    content = BytesIO()
    picture().save(content, format_.split()[0], **FORMATS.get(format_, {}), **options)
    return content.getvalue()


@pytest.mark.parametrize("exif", [TRUNCATED_EXIF, FOREIGN_EXIF], ids=["truncated", "foreign"])
@pytest.mark.parametrize("format_", ["JPEG", "JPEG without a resolution", "PNG", "WEBP"])
def test_image_with_damaged_exif_is_used_unturned(tmp_path, format_, exif):
    """A damaged EXIF block is ignored, as viewers do (Pillow#5528)."""
    path = tmp_path / "image"
    path.write_bytes(saved(format_, exif=exif))
    assert np.array_equal(decode(path, 24, 3), preprocess.read(saved(format_), 24, 3))
    info = inspect_image(str(path), with_digest=False)
    assert isinstance(info, ImageInfo)
    assert not info.is_turned


def test_nothing_is_printed_for_damaged_exif(tmp_path):
    """Pillow's warnings of damaged metadata stay off the terminal."""
    (tmp_path / "image.png").write_bytes(saved("PNG", exif=TRUNCATED_EXIF))
    program = "import sys; from cnn_engine.data.decode import decode; decode(sys.argv[1], 24, 3)"
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "image.png")],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert result.stderr == ""


def large_text():
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 1_200_000, zip=True)
    return {"pnginfo": text}


def many_texts():
    text = PngImagePlugin.PngInfo()
    for number in range(70):
        text.add_text(f"workflow {number}", "x" * 1_000_000, zip=True)
    return {"pnginfo": text}


def large_text_with_orientation():
    exif = Image.Exif()
    exif[0x0112] = 3
    return large_text() | {"exif": exif}


@pytest.mark.parametrize(
    "make",
    [large_text, many_texts, lambda: {"icc_profile": bytes(1_200_000)}],
    ids=["text", "texts", "profile"],
)
def test_png_with_large_text_or_profile_is_used(tmp_path, make):
    """Workflows and color profiles of over 1 MB do not cost a PNG (Pillow#8363)."""
    path = tmp_path / "image.png"
    path.write_bytes(saved("PNG", **make()))
    assert np.array_equal(decode(path, 24, 3), preprocess.read(saved("PNG"), 24, 3))
    assert isinstance(inspect_image(str(path), with_digest=True), ImageInfo)


def test_png_with_large_text_is_turned_by_its_exif(tmp_path):
    """EXIF is kept where text is dropped."""
    pixels = preprocess.read(saved("PNG", **large_text_with_orientation()), 24, 3)
    assert np.array_equal(pixels, preprocess.read(saved("PNG"), 24, 3)[::-1, ::-1])


def test_damaged_pixels_are_still_an_error(tmp_path):
    """An image is not decoded with damaged pixels because its metadata is dropped."""
    for format_ in FORMATS:
        content = bytearray(saved(format_))
        del content[len(content) // 2 :]
        (tmp_path / "image").write_bytes(content)
        with pytest.raises(Unreadable):
            decode(tmp_path / "image", 24, 3)


def with_metadata(format_):
    exif = Image.Exif()
    exif[0x010F] = "maker"
    exif.get_ifd(0x8769)[0x9286] = b"x" * 50
    exif.get_ifd(0x8825)[1] = "N"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options = {"exif": exif, "icc_profile": profile}
    if format_ == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("workflow", "y" * 300, zip=True)
        text.add_itxt("XML:com.adobe.xmp", "<x/>")
        options["pnginfo"] = text
    return saved(format_, **options)


CONTENTS = {format_: with_metadata(format_) for format_ in FORMATS}
PIXELS = {format_: preprocess.read(content, 24, 3) for format_, content in CONTENTS.items()}


def metadata_ranges(format_, content):
    """Return start and end of the blocks of metadata."""
    if format_.startswith("JPEG"):
        return list(_segments(content))
    if format_ == "PNG":
        return [span for kind, span in _chunks(content, 8, "big", 4) if kind[0] & 0x20]
    if format_ == "WEBP":
        kinds = (b"EXIF", b"ICCP", b"XMP ")
        return [span for kind, span in _chunks(content, 12, "little", 0) if kind in kinds]
    return list(_tiff_values(content))


def _segments(content):
    position = 2
    while content[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(content[position + 2 : position + 4])
        if 0xE1 <= content[position + 1] <= 0xEF:
            yield position + 4, end
        position = end


def _chunks(content, position, order, checksum):
    while position < len(content):
        first, second = content[position : position + 4], content[position + 4 : position + 8]
        size, kind = (second, first) if order == "little" else (first, second)
        end = position + 8 + int.from_bytes(size, order)
        yield kind, (position + 8, end + checksum)
        position = end + checksum + (end % 2 if order == "little" else 0)


def _tiff_values(content):
    """Yield count, value and, for offsets, the bytes there, of entries that pixels do not need."""
    start = int.from_bytes(content[4:8], "little")
    count = int.from_bytes(content[start : start + 2], "little")
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        if int.from_bytes(content[entry : entry + 2], "little") in {271, 34665, 34853, 34675}:
            offset = int.from_bytes(content[entry + 8 : entry + 12], "little")
            yield from ((entry + 4, entry + 12), (offset, offset + 40))


@pytest.mark.parametrize("format_", FORMATS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_damaged_metadata_changes_no_pixel(format_, data):
    """Damage to any bytes of metadata does not change the decoded image."""
    content = bytearray(CONTENTS[format_])
    start, end = data.draw(st.sampled_from(metadata_ranges(format_, content)))
    at = data.draw(st.integers(start, end - 1))
    damage = data.draw(st.binary(min_size=1, max_size=min(12, end - at)))
    content[at : at + len(damage)] = damage
    assert np.array_equal(preprocess.read(bytes(content), 24, 3), PIXELS[format_])
