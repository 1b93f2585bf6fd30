"""Preprocessing of an image file to the pixels a model takes, with Pillow and NumPy only.

`cnn-tui export` copies this file next to a model, so that images are preprocessed by the same code
as in training.
"""

import logging
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

T = TypeVar("T")

Fit: TypeAlias = Literal["crop", "pad", "stretch"]
"""Way to make an image square."""

PADDING = "#808080"
"""Colour of the padding; nearly 0 after normalization."""

FORMATS = frozenset("AVIF BMP GIF JPEG JPEG2000 PNG PPM TIFF WEBP".split())
"""Formats that are decoded; for some others Pillow starts a program such as Ghostscript."""

MAX_PIXELS = 89_000_000
"""Limit of Pillow, above which an image counts as a decompression bomb."""

MAX_JPEG_PIXELS = 250_000_000
"""Limit for JPEGs, which phones take with up to 200 megapixels and which are decoded at a fraction
of their size."""

ORIENTATION = 0x0112
"""EXIF tag of the camera's orientation: 1 is upright, 5 to 8 are quarter turns."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transposition that undoes an orientation."""

GREY_LEVELS = {"L;2": 85, "L;4": 17}
"""Steps between the grey levels of a PNG with fewer than 8 bits, by Pillow's raw mode."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

TIFF_PIXEL_TAGS = frozenset(
    map(
        int,
        "256 257 258 259 262 266 273 274 277 278 279 284 292 293 317 320 322 323 324 325 332 "
        "338 339 347 512 513 514 515 517 518 519 520 521 529 530 531 532".split(),
    )
)
"""Tags that the pixels of a TIFF depend on."""

PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
"""Tag of a TIFF, and its value for grey images whose greatest value is black."""

FULL_RANGE = {"I;12": 4_095, "I;16S": 32_767, "I;16BS": 32_767}
"""Greatest value of grey pixels that do not have 16 bits without a sign, by Pillow's raw mode."""

# Pillow warns of damaged metadata, which is not used, and of sizes, which are limited here.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


class Unsuitable(ValueError):  # noqa: N818 - the reason is the message
    """The image cannot be used."""


def read(
    file: str | Path | bytes,
    size: int,
    channels: int,
    fit: Fit = "crop",
    max_value: float | None = None,
) -> NDArray[np.uint8]:
    """Return the pixels of an image file or of its content; see `pixels`."""
    return with_image(file, lambda image: pixels(image, size, channels, fit, max_value))


def with_image(file: str | Path | bytes, use: Callable[[Image.Image], T]) -> T:
    """Open an image file or its content and return `use(image)`.

    If this fails, it is tried again without the metadata, which may be damaged or too large for
    Pillow.

    Raises:
        Unsuitable: the image has an unsupported format, or is too large.
        Exception: Pillow cannot decode the image.
    """
    try:
        with _opened(file) as image:
            return use(image)
    except (Unsuitable, MemoryError):
        raise
    except Exception as error:
        if getattr(error, "errno", None) is not None:
            raise  # the file cannot be read
        content = file if isinstance(file, bytes) else Path(file).read_bytes()
        bare = without_metadata(content)
        if bare == content:
            raise
    with _opened(bare) as image:
        return use(image)


@contextmanager
def _opened(file: str | Path | bytes) -> Iterator[Image.Image]:
    with (
        BytesIO(file) if isinstance(file, bytes) else Path(file).open("rb") as stream,
        _opened_stream(stream) as image,
    ):
        _refuse_unsuitable(image)
        yield image


def _opened_stream(stream: IO[bytes]) -> Image.Image:
    is_jpeg = stream.read(3) == b"\xff\xd8\xff"
    stream.seek(0)
    try:
        # `Image.open` refuses JPEGs of more than 179 megapixels.
        return JpegImageFile(stream) if is_jpeg else Image.open(stream)
    except SyntaxError:
        raise UnidentifiedImageError from None
    except Image.DecompressionBombError:
        raise Unsuitable(f"is too large; {_limit_text(MAX_PIXELS)}") from None


def _limit_text(limit: int) -> str:
    return f"at most {limit // 1_000_000} megapixels are decoded"


def _refuse_unsuitable(image: Image.Image) -> None:
    """Raise `Unsuitable` for an unsupported or too large image, from the header alone."""
    if image.format not in FORMATS:
        raise Unsuitable(f"has the unsupported format {image.format}")
    limit = MAX_JPEG_PIXELS if image.format == "JPEG" else MAX_PIXELS
    if image.width * image.height > limit:
        size = f"{image.width} × {image.height} pixels"
        raise Unsuitable(f"is too large ({size}); {_limit_text(limit)}")


def pixels(
    image: Image.Image,
    size: int,
    channels: int,
    fit: Fit = "crop",
    max_value: float | None = None,
) -> NDArray[np.uint8]:
    """Return the image as uint8 [size, size, channels].

    Only the first frame of an animation is used, transparency becomes white, and the EXIF rotation
    is applied.

    Args:
        image: An opened image.
        size: Side in pixels.
        channels: 1 for grey, 3 for colour.
        fit: `crop` scales the shorter side and keeps the central square; `pad` scales the longer
            side and adds grey borders; `stretch` scales both sides independently.
        max_value: Value that becomes white in images of more than 8 bits; by default the greatest
            that their bits can hold.

    Raises:
        Unsuitable: the pixels have 32 bits, and there is no `max_value`.
    """
    mode = "RGB" if channels == 3 else "L"
    if min(image.size) >= 2 * size:
        image.draft(mode, (2 * size, 2 * size))  # JPEG: decode at a fraction of the size
    colored = upright_in_mode(image, mode, raw_mode_of(image), max_value)
    if colored.size != (size, size):
        colored = _fitted(colored, size, fit)
    return np.asarray(colored).reshape(size, size, channels)


def _fitted(image: Image.Image, size: int, fit: Fit) -> Image.Image:
    match fit:
        case "crop":
            return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
        case "pad":
            return _padded(image, size)
        case "stretch":
            return image.resize((size, size), Image.Resampling.BILINEAR)


def _padded(image: Image.Image, size: int) -> Image.Image:
    longest = max(image.size)
    # `ImageOps.pad` gives a long image no width at all.
    width, height = (max(1, round(side / longest * size)) for side in image.size)
    padded = Image.new(image.mode, (size, size), ImageColor.getcolor(PADDING, image.mode))
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    padded.paste(resized, (round((size - width) / 2), round((size - height) / 2)))
    return padded


def upright_in_mode(
    image: Image.Image, mode: str, raw_mode: str, max_value: float | None
) -> Image.Image:
    """Return the image turned upright, on white, in mode `L` (grey) or `RGB`.

    Args:
        image: An opened image.
        mode: The mode to convert to.
        raw_mode: Result of `raw_mode_of` before the image was loaded.
        max_value: As for `pixels`.

    Raises:
        Unsuitable: the pixels have 32 bits, and there is no `max_value`.
    """
    image.load()
    if turn := TURNS.get(orientation(image)):
        image = image.transpose(turn)
    if has_deep_pixels(image):
        white = max_value or default_max_value(image, raw_mode)
        if not white:
            raise Unsuitable(
                f"has 32-bit pixels with values up to {max_value_of(image):g}; they need a run "
                "that is trained with data.max_value, the value that is white"
            )
        image = _in_eight_bits(image, white)
    if image.has_transparency_data:
        image = _with_alpha(image, raw_mode)
    if max_value and ";16" in raw_mode and image.mode in {"RGB", "RGBA"}:
        image = _brightened(image, 65_535 / max_value)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode == "LAB":
        image = image.convert("RGB")  # cannot be converted to grey
    return image if image.mode == mode else image.convert(mode)


def raw_mode_of(image: Image.Image) -> str:
    """Return Pillow's name of the pixels in the file, such as `RGB;16B`; empty once loaded."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if there is none, or if it is damaged.

    Pillow turns a TIFF upright when it is loaded, and its orientation is 1 from then on.
    """
    for _ in range(2):  # after a failure, Pillow returns the tags before the damage
        try:
            value = image.getexif().get(ORIENTATION, 1)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001, S112 - damaged EXIF blocks raise anything
            continue
        return value if value in TURNS else 1
    return 1


def has_deep_pixels(image: Image.Image) -> bool:
    """Return True if the image is grey and has more than 8 bits."""
    return image.mode == "F" or image.mode.startswith("I")


def default_max_value(image: Image.Image, raw_mode: str) -> float:
    """Return the value that becomes white in a grey image of more than 8 bits.

    It is 0 for 32 bits, whose range says nothing about white.
    """
    if image.mode == "F" or raw_mode.startswith("I;32"):
        return 0
    return FULL_RANGE.get(raw_mode, 65_535)


def max_value_of(image: Image.Image) -> float:
    """Return the greatest value of a grey image of more than 8 bits."""
    values = np.asarray(image)
    return float(values[np.isfinite(values)].max(initial=0))


def _in_eight_bits(image: Image.Image, max_value: float) -> Image.Image:
    """Return a grey image of more than 8 bits in mode `L`, its transparent color in white."""
    values = np.asarray(image).astype(np.float32)
    # Pillow's conversion clips instead of scaling.
    shades = np.nan_to_num(values.clip(0, max_value) / np.float32(max_value / 255)).round()
    if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO:
        shades = 255 - shades  # Pillow does so for 8 bits only
    if (transparent := image.info.get("transparency")) is not None:
        shades[values == transparent] = 255
    return Image.fromarray(shades.astype(np.uint8))


def _brightened(image: Image.Image, factor: float) -> Image.Image:
    """Return the image, `RGB` or `RGBA`, with its colours multiplied."""
    colors = [min(255, round(value * factor)) for value in range(256)]
    return image.point(colors * 3 + list(range(256)) * (len(image.getbands()) - 3))


def _with_alpha(image: Image.Image, raw_mode: str) -> Image.Image:
    """Return an image with any kind of transparency in mode `RGBA`."""
    color = image.info.get("transparency")
    if isinstance(color, tuple):
        shift = 8 if ";16" in raw_mode else 0  # Pillow keeps the upper 8 of 16 bits
        image.info["transparency"] = tuple(value >> shift & 255 for value in color)
    elif isinstance(color, int) and image.mode == "L":
        image.info["transparency"] = color * GREY_LEVELS.get(raw_mode, 1) & 255
    if image.mode == "La":
        image = image.convert("LA")
    return image if image.mode == "RGBA" else image.convert("RGBA")


def without_metadata(content: bytes) -> bytes:
    """Return the content of a PNG or TIFF without text, profiles and other unneeded blocks."""
    if content.startswith(PNG_SIGNATURE):
        return _bare_png(content)
    if content.startswith((b"II*\0", b"MM\0*")):
        return _bare_tiff(content)
    return content


def _bare_png(content: bytes) -> bytes:
    kept, position = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while position + 12 <= len(content):
        end = position + 12 + int.from_bytes(content[position : position + 4], "big")
        chunk = content[position:end]
        kind, checksum = chunk[4:8], zlib.crc32(chunk[4:-4]).to_bytes(4, "big")
        is_critical = not kind[0] & 0x20
        if is_critical or (kind in {b"tRNS", b"eXIf"} and chunk[-4:] == checksum):
            kept.append(chunk)
        position = end
    return b"".join(kept)


def _bare_tiff(content: bytes) -> bytes:
    order: Literal["little", "big"] = "little" if content.startswith(b"II") else "big"
    start = int.from_bytes(content[4:8], order)
    count = int.from_bytes(content[start : start + 2], order)
    first = start + 2
    entries = [content[at : at + 12] for at in range(first, first + 12 * count, 12)]
    kept = [entry for entry in entries if int.from_bytes(entry[:2], order) in TIFF_PIXEL_TAGS]
    directory = len(kept).to_bytes(2, order) + b"".join(kept) + bytes(4)
    return content[:start] + directory + content[start + len(directory) :]
