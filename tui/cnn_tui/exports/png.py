"""PNG encoder: 8 bits per channel, grey or RGB, no row filter (RFC 2083)."""

import struct
import zlib

GREY, RGB = 0, 2
"""PNG colour types."""


def encode_png(pixels: bytes, width: int, height: int, channels: int) -> bytes:
    """Return the content of a PNG file.

    Args:
        pixels: uint8 [height, width, channels].
        width: In pixels.
        height: In pixels.
        channels: 1 for grey, 3 for RGB.
    """
    color_type, stride = GREY if channels == 1 else RGB, width * channels
    rows = b"".join(
        b"\0" + pixels[start : start + stride] for start in range(0, stride * height, stride)
    )
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
