"""Reads the scalars of TensorBoard event files; `tfevents` describes the format.

Images, histograms and texts are skipped without looking at their bytes, so that a file of images
takes no longer than reading it.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, TypeAlias

from cnn_engine.storage.tfevents import BYTES, FIXED32, FIXED64, VARINT, masked_crc

MAX_MESSAGE_BYTES = 64 << 20
"""Maximum size of a message that is read; longer ones, such as videos, are skipped."""

MAX_FILE_BYTES = 1 << 48
"""A record that is longer is damage."""

MAX_CHECKED_BYTES = 1 << 10
"""Maximum size of a message whose checksum is verified; records of scalars are far smaller."""

DT_FLOAT, DT_DOUBLE = 1, 2
"""Values of TensorFlow's `DataType`."""

SESSION_START = 1
"""Value of `SessionLog.SessionStatus`."""

HPARAMS = "_hparams_/"
"""Prefix of the tags in which `add_hparams` stores hyperparameters."""

ARGUMENTS = "args/text_summary"
"""Tag with the arguments of Hugging Face's Trainer."""

SESSION_START_INFO = 3
"""Field of the plugin's data with the hyperparameters."""

SINGLE_SCALAR = re.compile(
    rb"\x09(.{8})(?:\x10([\x80-\xff]{0,7}[\x00-\x7f]))?"
    rb"\x2a([\x00-\x7f]\x0a[\x00-\x7f]\x0a[\x00-\x7f])(.*)\x15(.{4})",
    re.DOTALL,
)
"""Message with a time, a step of at most 56 bits, and the tag and value of one scalar."""

FLOAT, DOUBLE = struct.Struct("<f"), struct.Struct("<d")

Field: TypeAlias = "tuple[int, int | memoryview]"
"""Field number and value: an integer for a varint, else bytes."""


class DamagedFileError(ValueError):
    """The file is not an event file, or is damaged from this record on."""


@dataclass(slots=True)
class LoggedEvent:
    """Contents of a record, without images, histograms and texts."""

    time: float = 0.0
    """Seconds since 1970."""
    step: int = 0
    scalars: list[tuple[str, float]] = field(default_factory=list)
    """Tags and values."""
    is_start: bool = False
    """True if training was restarted at this step (`SessionLog.START`): what was logged before
    from this step on is undone."""
    hparams: dict[str, float | str | bool] | None = None
    """Hyperparameters; None if it does not belong to them."""
    arguments: list[str] = field(default_factory=list)
    """JSON texts with the arguments of Hugging Face's Trainer."""


class RecordReader:
    """Reads new complete records of a growing file; an incomplete last one is read later."""

    def __init__(self) -> None:
        self.offset = 0
        """Offset in bytes behind the last record that was read."""
        self._heads: set[bytes] = set()
        """Lengths of small records with their checksums, which were found right."""

    def poll(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield the messages added since the last call.

        Raises:
            DamagedFileError: a checksum is wrong. Nothing after such a record can be read, because
                its start is known only from the record before.
        """
        size = file.seek(0, 2)
        file.seek(self.offset)
        while len(head := file.read(12)) == 12:
            (length,) = struct.unpack("<Q", head[:8])
            if head not in self._heads:
                if masked_crc(head[:8]) != head[8:] or length > MAX_FILE_BYTES:
                    raise DamagedFileError(f"no TensorBoard record at byte {self.offset}")
                if length <= MAX_CHECKED_BYTES:
                    self._heads.add(head)
            end = self.offset + 12 + length + 4
            if end > size:
                return
            if length > MAX_MESSAGE_BYTES:
                self.offset = file.seek(end)
                continue
            content = file.read(length + 4)
            if len(content) < length + 4:
                return
            message = content[:-4]
            if length <= MAX_CHECKED_BYTES and masked_crc(message) != content[-4:]:
                raise DamagedFileError(f"the record at byte {self.offset} is damaged")
            self.offset = end
            yield message


def read_event(message: bytes) -> LoggedEvent:
    """Return the event in a record's message.

    Raises:
        DamagedFileError: the message is not an `Event`.
    """
    if event := _single_scalar(message):
        return event
    event = LoggedEvent()
    try:
        for number, value in _fields(memoryview(message)):
            if isinstance(value, int):
                if number == 2:
                    event.step = value - (1 << 64) if value >> 63 else value
            elif number == 1:
                (event.time,) = struct.unpack("<d", value)
            elif number == 5:
                _read_summary(value, event)
            elif number == 7:
                event.is_start = dict(_fields(value)).get(1) == SESSION_START
    except (struct.error, IndexError) as error:
        raise DamagedFileError(f"a record is not an event: {error}") from None
    return event


def _single_scalar(message: bytes) -> LoggedEvent | None:
    """Return the event if it holds a short tag and a number only, as most do; else None."""
    match = SINGLE_SCALAR.fullmatch(message)
    if not match:
        return None
    time, encoded_step, lengths, tag, value = match.groups()
    if (lengths[0], lengths[2], lengths[4]) != (len(tag) + 9, len(tag) + 7, len(tag)):
        return None
    step = 0
    for byte in reversed(encoded_step or b""):
        step = step << 7 | byte & 0x7F
    (seconds,), (number,) = DOUBLE.unpack(time), FLOAT.unpack(value)
    return LoggedEvent(seconds, step, [(tag.decode("utf-8", "replace"), number)])


def _read_summary(summary: memoryview, event: LoggedEvent) -> None:
    """Add the numbers in a `Summary`."""
    for number, value in _fields(summary):
        if number != 1 or isinstance(value, int):
            continue
        tag, found, metadata = _scalar(value)
        if found is not None:
            event.scalars.append((tag, found))
        elif tag == ARGUMENTS:
            event.arguments.append(_text(value))
        elif tag.startswith(HPARAMS):
            event.hparams = (event.hparams or {}) | _hparams(metadata)


def _scalar(content: memoryview) -> tuple[str, float | None, memoryview]:
    """Return tag, number and metadata of a `Summary.Value`.

    TensorFlow 2 writes the number as a tensor.
    """
    tag, found, metadata = "", None, memoryview(b"")
    for number, value in _fields(content):
        if isinstance(value, int):
            continue
        if number == 1:
            tag = str(value, "utf-8", "replace")
        elif number == 2:
            (found,) = struct.unpack("<f", value)
        elif number == 8:
            found = _single_number(value)
        elif number == 9:
            metadata = value
    return tag, found, metadata


def _text(content: memoryview) -> str:
    """Return the text in a `Summary.Value`; empty if it holds another value."""
    try:
        return str(_at(content, 8, 8), "utf-8", "replace")
    except (IndexError, DamagedFileError):
        return ""


def _hparams(metadata: memoryview) -> dict[str, float | str | bool]:
    """Return the hyperparameters at the start of a session; empty for other metadata."""
    found: dict[str, float | str | bool] = {}
    try:
        for number, entry in _fields(_at(metadata, 1, 2, SESSION_START_INFO)):
            pair = dict(_fields(entry)) if number == 1 and not isinstance(entry, int) else {}
            name, content = pair.get(1), pair.get(2)
            if isinstance(name, memoryview) and isinstance(content, memoryview):
                value = _hparam(content)
                if value is not None:
                    found[str(name, "utf-8", "replace")] = value
    except (struct.error, IndexError, DamagedFileError):
        pass  # of another version of the plugin
    return found


def _hparam(content: memoryview) -> float | str | bool | None:
    """Return the number, text or bool in a `Value`; None for others."""
    for number, value in _fields(content):
        if number == 4:
            return bool(value)
        if isinstance(value, memoryview) and number == 2:
            (as_float,) = struct.unpack("<d", value)
            is_whole = as_float.is_integer() and abs(as_float) < 1 << 53
            return int(as_float) if is_whole else float(as_float)
        if isinstance(value, memoryview) and number == 3:
            return str(value, "utf-8", "replace")
    return None


def _at(message: memoryview, *path: int) -> memoryview:
    """Return the bytes of a nested field; empty if there is none."""
    for number in path:
        found = dict(_fields(message)).get(number)
        message = found if isinstance(found, memoryview) else memoryview(b"")
    return message


def _single_number(tensor: memoryview) -> float | None:
    """Return the value of a tensor with a single float; None for other tensors."""
    fields = dict(_fields(tensor))
    layouts = {DT_FLOAT: ("<f", 5), DT_DOUBLE: ("<d", 6)}
    kind = fields.get(1)
    if not isinstance(kind, int) or kind not in layouts:
        return None
    layout, number = layouts[kind]
    content = fields.get(number, fields.get(4))  # a list of numbers, or raw bytes
    if not isinstance(content, memoryview) or len(content) != struct.calcsize(layout):
        return None
    (value,) = struct.unpack(layout, content)
    return float(value)


def _fields(message: memoryview) -> Iterator[Field]:
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


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value & (1 << 64) - 1, position
        if shift >= 70:
            raise IndexError("a number is too long")
