"""Image folders for tests: many formats, sizes and shapes, and files that cannot be read."""

import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.dataset import load_dataset

Save = Callable[[Image.Image, str], None]


def _rotated_by_exif(image: Image.Image, path: str) -> None:
    """Save the image as a camera held upright does: rotated, with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image.rotate(90, expand=True).save(f"{path}.jpg", exif=exif)


def _sixteen_bits(image: Image.Image, path: str) -> None:
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(f"{path}.png")


def _animated(image: Image.Image, path: str) -> None:
    image.save(f"{path}.gif", save_all=True, append_images=[Image.new("RGB", image.size)])


SAVERS: dict[str, Save] = {
    "jpeg": lambda image, path: image.save(f"{path}.jpg"),
    "png": lambda image, path: image.save(f"{path}.png"),
    "webp": lambda image, path: image.save(f"{path}.webp"),
    "tiff": lambda image, path: image.save(f"{path}.tif"),
    "grey": lambda image, path: image.convert("L").save(f"{path}.jpg"),
    "transparent": lambda image, path: image.convert("RGBA").save(f"{path}.png"),
    "print": lambda image, path: image.convert("CMYK").save(f"{path}.jpeg"),
    "wrongly named": lambda image, path: image.save(f"{path}.png", "JPEG"),
    "animated": _animated,
    "turned": _rotated_by_exif,
    "16 bits": _sixteen_bits,
}
"""Functions that save an image, used in turn."""


def make_photos(folder: Path, per_class: int = 33) -> None:
    """Create class folders `cat`, with images of discs, and `dog`, with images of squares."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            width, height = (int(side) for side in random.integers(48, 160, 2))
            image = _scene(name, width, height, random)
            save = list(SAVERS.values())[number % len(SAVERS)]
            save(image, str(folder / name / f"{number:03}"))


def _scene(name: str, width: int, height: int, random: np.random.Generator) -> Image.Image:
    coarse = random.integers(0, 120, (4, 4, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    side = min(width, height) // 2
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    color = tuple(int(value) for value in random.integers(150, 256, 3))
    pen = ImageDraw.Draw(image)
    if name == "cat":
        pen.ellipse(box, fill=color)
    else:
        pen.rectangle(box, fill=color)
    return image


def add_bad_files(folder: Path) -> list[str]:
    """Add unusable files and a link to the folder itself; return the names of the files."""
    jpeg = next(folder.glob("*.jpg")).read_bytes()
    contents = {
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "empty.png": b"",
        "header.gif": b"GIF89a",
        "text.jpg": b"this is a text",
        "bomb.png": decompression_bomb(),
        "script.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "self.jpg").symlink_to(folder / "self.jpg")
    (folder / "loop").symlink_to(folder)
    return sorted([*contents, "pipe.jpg", "gone.jpg", "self.jpg"])


def decompression_bomb() -> bytes:
    """Return a PNG whose header claims 50,000 × 50,000 pixels."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    return _png_of_chunks(IHDR=header, IDAT=zlib.compress(b""))


def _png_of_chunks(**chunks: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    named = [chunk(name.encode(), content) for name, content in (chunks | {"IEND": b""}).items()]
    return b"\x89PNG\r\n\x1a\n" + b"".join(named)


def png(bits, color_type, left, right, transparent=None):
    """Return a PNG of 16 × 16 pixels: samples of the left and right half, and of its tRNS chunk."""
    samples = [*left] * 8 + [*right] * 8
    text = "".join(f"{sample:0{bits}b}" for sample in samples)
    row = b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")
    key = b"".join(sample.to_bytes(2, "big") for sample in transparent or ())
    header = struct.pack(">IIBBBBB", 16, 16, bits, color_type, 0, 0, 0)
    return _png_of_chunks(
        IHDR=header, **({"tRNS": key} if key else {}), IDAT=zlib.compress(row * 16)
    )


def jpeg_of(width: int, height: int) -> bytes:
    """Return a JPEG of grey pixels, made without the memory for them.

    Args:
        width: Pixels, a multiple of 16.
        height: Pixels, a multiple of 16.
    """
    small = BytesIO()
    Image.new("RGB", (16, 16), (128, 128, 128)).save(small, "JPEG", subsampling="4:2:0")
    content = small.getvalue()
    frame = content.index(b"\xff\xc0")  # marker, length, bits, height, width
    scan = content.index(b"\xff\xda")
    data = scan + 2 + int.from_bytes(content[scan + 2 : scan + 4], "big")
    header = bytearray(content[:data])
    header[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    # Six blocks of a first coefficient of 0 (luma 00, chroma 00) and their ends (1010, 00).
    block_of_16_by_16 = 0b001010_001010_001010_001010_0000_0000.to_bytes(4, "big")
    return bytes(header) + block_of_16_by_16 * (width * height // 256) + b"\xff\xd9"


def load_folder(path, progress=lambda *_: None, **changes):
    """Return the data set of an image folder, at 16 × 16 pixels unless `changes` say otherwise."""
    return load_dataset(folder_config(path, **{"image_size": 16} | changes), 0, progress)


def folder_config(path, **changes):
    """Return the config of an image folder."""
    return DataConfig(source="folder", path=str(path), **changes)


def save_images(folder, count=10, shade=0, size=(16, 16), suffix=".png"):
    """Create a folder of images in one color each, with `shade` as the red value."""
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", size, (shade, number, 0)).save(folder / f"{number:03}{suffix}")


HOSTILE_NAMES = [
    "\x1b]0;x\x07",
    "\x1b[2J",
    "a\nb",
    "[red]",
    "[nope]",
    "[@click=app.exit]",
    "🐈",
]
"""Names of folders and files that a terminal or Textual's markup would interpret."""
