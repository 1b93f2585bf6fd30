"""Writes TensorBoard event files without TensorFlow, protobuf or PyTorch.

A file is a sequence of records: length, checksum of the length, message, checksum of the message
(TensorFlow's `core/lib/io/record_writer.h`). The checksum is CRC-32C, rotated and shifted
("masked"). A message is a protocol buffer of type `Event`, which holds scalars in a `Summary`
(`core/util/event.proto`, `core/framework/summary.proto`).
"""

import struct
from functools import cache
from typing import BinaryIO

FILE_VERSION = b"brain.Event:2"
"""Version in the first record of every event file."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types of protocol buffers."""

DT_STRING = 7
"""Value of TensorFlow's `DataType`."""

MAX_FLOAT32 = 3.4e38


def write_header(out: BinaryIO, time: float) -> None:
    """Write the first record, with the file version."""
    _write_record(out, _event(time, 0, _field(3, FILE_VERSION)))


def write_scalars(out: BinaryIO, time: float, step: int, values: dict[str, float]) -> None:
    """Write a record with the values of a step.

    Args:
        out: The event file.
        time: Unix time in seconds.
        step: Step of the values.
        values: Values by tag; stored as float32.
    """
    summary = b"".join(
        _field(1, _field(1, _utf8(tag)) + _key(2, FIXED32) + struct.pack("<f", _single(value)))
        for tag, value in values.items()
    )
    _write_record(out, _event(time, step, _field(5, summary)))


def write_text(out: BinaryIO, time: float, tag: str, markdown: str) -> None:
    """Write a record with a text that TensorBoard renders as Markdown; `time` is Unix time."""
    metadata = _field(1, _field(1, b"text"))
    tensor = _key(1, VARINT) + _varint(DT_STRING) + _field(2, b"") + _field(8, _utf8(markdown))
    value = _field(1, _utf8(tag)) + _field(9, metadata) + _field(8, tensor)
    _write_record(out, _event(time, 0, _field(5, _field(1, value))))


def _event(time: float, step: int, payload: bytes) -> bytes:
    return _key(1, FIXED64) + struct.pack("<d", time) + _key(2, VARINT) + _varint(step) + payload


def _single(value: float) -> float:
    """Return the value, or infinity if float32 cannot hold it."""
    return value if not abs(value) > MAX_FLOAT32 else value * float("inf")


def _write_record(out: BinaryIO, content: bytes) -> None:
    length = struct.pack("<Q", len(content))
    out.write(length + masked_crc(length) + content + masked_crc(content))


def _field(number: int, content: bytes) -> bytes:
    return _key(number, BYTES) + _varint(len(content)) + content


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    value &= (1 << 64) - 1  # two's complement of negative values
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # noqa: PLW2901
        table.append(byte)
    return tuple(table)


_CRC = _crc_table()


@cache
def _crc_of_words() -> tuple[int, ...]:
    """Return the table for two bytes at a time, which takes half as long."""
    return tuple(
        _CRC[_CRC[word & 0xFF] & 0xFF ^ word >> 8] ^ _CRC[word & 0xFF] >> 8
        for word in range(1 << 16)
    )


def masked_crc(content: bytes) -> bytes:
    """Return the masked CRC-32C of the content, 4 bytes."""
    crc, table = 0xFFFFFFFF, _crc_of_words()
    for word in struct.unpack(f"<{len(content) // 2}H", content[: len(content) & ~1]):
        crc = table[(crc ^ word) & 0xFFFF] ^ crc >> 16
    if len(content) & 1:
        crc = _CRC[(crc ^ content[-1]) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
