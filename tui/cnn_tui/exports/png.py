"""A picture as a PNG file: 8 bits a channel, grey or colour, no filter (RFC 2083)."""

import struct
import zlib

GREY, COLOUR = 0, 2
"""What PNG calls them."""


def encode_png(pixels: bytes, width: int, height: int, channels: int) -> bytes:
    """The file's content.

    Args:
        pixels: uint8 [height, width, channels].
        width: In pixels.
        height: In pixels.
        channels: 1 for grey, 3 for colour.
    """
    kind, stride = GREY if channels == 1 else COLOUR, width * channels
    rows = b"".join(b"\0" + pixels[at : at + stride] for at in range(0, stride * height, stride))
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
