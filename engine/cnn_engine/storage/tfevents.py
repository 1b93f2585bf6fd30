"""Writes and reads TensorBoard event files without TensorFlow, protobuf or PyTorch.

A file is a sequence of records: length, checksum of the length, message, checksum of the message
(TensorFlow's `core/lib/io/record_writer.h`). The checksum is CRC-32C, rotated and shifted
("masked"). A message is a protocol buffer of type `Event`, which holds scalars in a `Summary`
(`core/util/event.proto`, `core/framework/summary.proto`). Other fields are skipped.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, TypeAlias

FILE_VERSION = b"brain.Event:2"
"""Version in the first record of every event file."""

MAX_MESSAGE_BYTES = 64 << 20
"""Maximum size of a message, which may contain images; a greater length counts as damage."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types of protocol buffers."""

DT_FLOAT, DT_DOUBLE, DT_STRING = 1, 2, 7
"""Values of TensorFlow's `DataType`."""

Field: TypeAlias = "tuple[int, int | bytes]"
"""Field number and value: an integer for a varint, else bytes."""


class Scalar(NamedTuple):
    """Value of a tag at a step."""

    tag: str
    step: int
    time: float
    """Seconds since 1970."""

    value: float


class DamagedFileError(ValueError):
    """The file is not an event file, or is damaged from this record on."""


# Writing.


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


MAX_FLOAT32 = 3.4e38


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


# Reading.


class RecordReader:
    """Reads new complete records of a growing file; an incomplete last one is read later."""

    def __init__(self) -> None:
        self._offset = 0

    def poll(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield the messages added since the last call.

        Raises:
            DamagedFileError: a checksum is wrong. Nothing after such a record can be read, because
                its start is known only from the record before.
        """
        file.seek(self._offset)
        while len(head := file.read(12)) == 12:
            (length,) = struct.unpack("<Q", head[:8])
            if masked_crc(head[:8]) != head[8:] or length > MAX_MESSAGE_BYTES:
                raise DamagedFileError(f"no TensorBoard record at byte {self._offset}")
            content = file.read(length + 4)
            if len(content) < length + 4:
                return
            if masked_crc(content[:-4]) != content[-4:]:
                raise DamagedFileError(f"the record at byte {self._offset} is damaged")
            self._offset += 12 + len(content)
            yield content[:-4]


def read_scalars(message: bytes) -> list[Scalar]:
    """Return the scalars in a record's message.

    Raises:
        DamagedFileError: the message is not an `Event`.
    """
    time, step, found = 0.0, 0, list[tuple[str, float]]()
    try:
        for number, value in _fields(message):
            if number == 1 and isinstance(value, bytes):
                (time,) = struct.unpack("<d", value)
            elif number == 2 and isinstance(value, int):
                step = value - (1 << 64) if value >> 63 else value
            elif number == 5 and isinstance(value, bytes):
                found += [
                    scalar
                    for inner, content in _fields(value)
                    if inner == 1 and isinstance(content, bytes)
                    for scalar in _scalar(content)
                ]
    except (struct.error, IndexError) as error:
        raise DamagedFileError(f"a record is not an event: {error}") from None
    return [Scalar(tag, step, time, value) for tag, value in found]


def _scalar(content: bytes) -> list[tuple[str, float]]:
    """Return tag and value of a numeric `Summary.Value`; TensorFlow 2 writes it as a tensor."""
    tag, found = "", None
    for number, value in _fields(content):
        if not isinstance(value, bytes):
            continue
        if number == 1:
            tag = value.decode("utf-8", "replace")
        elif number == 2:
            (found,) = struct.unpack("<f", value)
        elif number == 8:
            found = _single_number(value)
    return [] if found is None else [(tag, found)]


def _single_number(tensor: bytes) -> float | None:
    """Return the value of a tensor with a single float; None for other tensors."""
    fields = dict(_fields(tensor))
    layouts = {DT_FLOAT: ("<f", 5), DT_DOUBLE: ("<d", 6)}
    kind = fields.get(1)
    if not isinstance(kind, int) or kind not in layouts:
        return None
    layout, number = layouts[kind]
    content = fields.get(number, fields.get(4))  # a list of numbers, or raw bytes
    if not isinstance(content, bytes) or len(content) != struct.calcsize(layout):
        return None
    (value,) = struct.unpack(layout, content)
    return float(value)


def _fields(message: bytes) -> Iterator[Field]:
    """Yield the fields of a message in order.

    Raises:
        IndexError: the message ends within a field.
        DamagedFileError: a field has an unknown wire type.
    """
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        wire_type = key & 7
        if wire_type == VARINT:
            value, position = _read_varint(message, position)
            yield key >> 3, value
            continue
        if wire_type == BYTES:
            length, position = _read_varint(message, position)
        elif wire_type in (FIXED64, FIXED32):
            length = 8 if wire_type == FIXED64 else 4
        else:
            raise DamagedFileError(f"a record has a field of type {wire_type}")
        if position + length > len(message):
            raise IndexError("the message ends within a field")
        yield key >> 3, message[position : position + length]
        position += length


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value & (1 << 64) - 1, position
        if shift >= 70:
            raise IndexError("a number is too long")


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # noqa: PLW2901
        table.append(byte)
    return tuple(table)


_CRC = _crc_table()


def masked_crc(content: bytes) -> bytes:
    """Return the masked CRC-32C of the content, 4 bytes."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
