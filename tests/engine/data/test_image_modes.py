"""Every pixel mode and kind of transparency becomes the same pixels in all commands."""

import importlib.util
import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cnn_engine.data import preprocess
from cnn_engine.data.checks.image_info import ImageInfo, inspect_image
from cnn_engine.data.decode import decode
from photos_for_tests import png

COLOR = (200, 40, 40)
GREY = 87
"""COLOR in grey."""

WHITE = 255


def halves(mode):
    """Return an image of 16 × 16 pixels: the left half opaque, the right half transparent."""
    image = Image.new("RGBA", (16, 16), (*COLOR, 255))
    image.paste((0, 0, 0, 0), (8, 0, 16, 16))
    return image.convert("LA") if mode == "LA" else image


def opaque(mode):
    """Return an image of 16 × 16 pixels in COLOR, or in GREY."""
    return Image.new("RGB", (16, 16), COLOR).convert(mode)


def saved(image, format_, **options):
    """Return the content of an image file."""
    content = BytesIO()
    image.save(content, format_, **options)
    return content.getvalue()


def tiff_with_associated_alpha(mode):
    """Return a TIFF whose colors are multiplied with their opacity (ExtraSamples = 1)."""
    content = bytearray(saved(halves(mode), "TIFF"))
    entry = content.find(struct.pack("<HHI", 338, 3, 1))  # ExtraSamples, one SHORT
    assert entry > 0
    content[entry + 8] = 1
    return bytes(content)


def palette_with(transparency):
    image = Image.new("P", (16, 16), 0)
    image.putpalette([*COLOR, 0, 0, 0, 1, 2, 3])
    image.paste(1, (8, 0, 16, 16))
    return saved(image, "PNG", transparency=transparency)


def gif():
    image = Image.new("P", (16, 16), 0)
    image.putpalette([*COLOR, 0, 0, 0])
    image.paste(1, (8, 0, 16, 16))
    return saved(image, "GIF", transparency=1)


def grey_gif():
    image = Image.new("L", (16, 16), 87)
    image.paste(0, (8, 0, 16, 16))
    return saved(image, "GIF", transparency=0)


def in_channels(color, channels):
    """Return a color in 3 channels, or as grey in 1."""
    return color if channels == 3 else (round(np.dot(color, (0.299, 0.587, 0.114))),)


TRANSPARENT = {
    "RGBA": (lambda: saved(halves("RGBA"), "PNG"), COLOR),
    "RGBA in TIFF": (lambda: saved(halves("RGBA"), "TIFF"), COLOR),
    "RGBA in WebP": (lambda: saved(halves("RGBA"), "WEBP", lossless=True), COLOR),
    "RGBa": (lambda: tiff_with_associated_alpha("RGBA"), COLOR),
    "LA": (lambda: saved(halves("LA"), "PNG"), (GREY,) * 3),
    "La": (lambda: tiff_with_associated_alpha("LA"), (GREY,) * 3),
    "PA": (lambda: saved(halves("RGBA").convert("PA"), "TIFF"), COLOR),
    "P with one color": (lambda: palette_with(1), COLOR),
    "P with opacities": (lambda: palette_with(bytes([255, 0, 7])), COLOR),
    "GIF": (gif, COLOR),
    "grey GIF": (grey_gif, (GREY,) * 3),
    "1": (lambda: png(1, 0, [0], [1], [1]), (0, 0, 0)),
    "1, black": (lambda: png(1, 0, [1], [0], [0]), (255, 255, 255)),
    "L of 2 bits": (lambda: png(2, 0, [1], [2], [2]), (85, 85, 85)),
    "L of 4 bits": (lambda: png(4, 0, [3], [9], [9]), (51, 51, 51)),
    "L": (lambda: png(8, 0, [GREY], [3], [3]), (GREY,) * 3),
    "I;16": (lambda: png(16, 0, [GREY * 257], [771], [771]), (GREY,) * 3),
    "RGB": (lambda: png(8, 2, COLOR, [1, 2, 3], [1, 2, 3]), COLOR),
    "RGB of 16 bits": (
        lambda: png(16, 2, [value * 257 for value in COLOR], [259, 518, 777], [259, 518, 777]),
        COLOR,
    ),
}
"""Files with a transparent right half, and the color of their left half."""


@pytest.fixture(scope="module")
def exported_read():
    """Return `read` of preprocess.py as a module of its own, as beside an exported model."""
    spec = importlib.util.spec_from_file_location("exported_preprocess", preprocess.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.read


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", TRANSPARENT)
def test_every_kind_of_transparency_becomes_white(tmp_path, kind, channels, exported_read):
    """A transparent color of a PNG is on white like an alpha channel (Pillow#421)."""
    make, color = TRANSPARENT[kind]
    path = tmp_path / "image.png"
    path.write_bytes(make())
    pixels = decode(path, 16, channels)
    assert np.abs(pixels[:, :8].astype(int) - in_channels(color, channels)).max() <= 1
    assert pixels[:, 8:].min() == WHITE
    assert np.array_equal(exported_read(path, 16, channels), pixels)
    info = inspect_image(str(path), with_digest=False)
    assert isinstance(info, ImageInfo)
    assert info.is_transparent
    assert np.frombuffer(info.miniature, np.uint8).reshape(16, 18)[:, 9:].min() == WHITE


OPAQUE = {
    "1": (lambda: saved(opaque("L").point(lambda _: 255, "1"), "PNG"), (255,) * 3),
    "L": (lambda: saved(opaque("L"), "PNG"), (GREY,) * 3),
    "P": (lambda: saved(opaque("RGB").quantize(2), "PNG"), COLOR),
    "RGB": (lambda: saved(opaque("RGB"), "PNG"), COLOR),
    "RGBX": (lambda: saved(opaque("RGBX"), "TIFF"), COLOR),
    "CMYK": (lambda: saved(opaque("CMYK"), "TIFF"), COLOR),
    "CMYK in JPEG": (lambda: saved(opaque("CMYK"), "JPEG"), COLOR),
    "YCbCr": (lambda: saved(opaque("YCbCr"), "TIFF"), COLOR),
    "LAB": (lambda: saved(opaque("LAB"), "TIFF"), COLOR),
    "I;16": (lambda: png(16, 0, [GREY * 257], [GREY * 257], [0]), (GREY,) * 3),
    "I;16B": (
        lambda: saved(Image.fromarray(np.full((16, 16), GREY * 257, ">u2")), "TIFF"),
        (GREY,) * 3,
    ),
    "I in PGM": (
        lambda: b"P5 16 16 4095\n" + round(GREY / 255 * 4095).to_bytes(2) * 256,
        (GREY,) * 3,
    ),
}
"""Files in other modes, and their color."""


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", OPAQUE)
def test_every_mode_is_decoded(tmp_path, kind, channels, exported_read):
    """Modes that Pillow cannot convert to grey directly, such as LAB, are decoded too."""
    make, color = OPAQUE[kind]
    path = tmp_path / "image.png"
    path.write_bytes(make())
    pixels = decode(path, 16, channels)
    assert len(np.unique(pixels.reshape(-1, channels), axis=0)) == 1
    assert np.abs(pixels.astype(int) - in_channels(color, channels)).max() <= 2
    assert np.array_equal(exported_read(path, 16, channels), pixels)
    assert isinstance(inspect_image(str(path), with_digest=False), ImageInfo)


MODES = "1 CMYK F HSV I I;16 I;16B I;16L I;16N L LA La LAB P PA RGB RGBA RGBa RGBX YCbCr".split()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_pillow_has_pixels(mode, channels):
    """`pixels` takes an image in any mode, also in those that no file has."""
    pixels = preprocess.pixels(Image.new(mode, (16, 8)), 8, channels, max_value=255)
    assert pixels.shape == (8, 8, channels)
    assert len(np.unique(pixels.reshape(-1, channels), axis=0)) == 1


@pytest.mark.parametrize("size", [(4, 600), (600, 4), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_very_long_image_keeps_a_pixel_of_width(size, fit):
    """Padding leaves a strip of a very long image (ImageOps.pad leaves nothing)."""
    pixels = preprocess.read(saved(Image.new("RGB", size, COLOR), "PNG"), 64, 3, fit)
    assert (pixels == COLOR).all(axis=2).sum() >= 64
