"""Converts logged values to numbers, without waiting for a device.

Never imports PyTorch or NumPy: if a program logs their values, it has imported them.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from cnn_engine.errors import error_text
from cnn_engine.runlog.roles import roles_of
from cnn_engine.runlog.series import MAX_NAME, MAX_SERIES
from cnn_engine.tracking.names import clean_name
from cnn_engine.tracking.nothing import Nothing

READ_AT_ONCE = ("cpu", "xla")
"""Devices whose tensors are not kept: reading them costs nothing, or needs the loop's thread."""

RESERVED_SERIES = 20
"""Series for which there is room beyond those with any name: losses, accuracies, learning rates."""

MAX_DEPTH = 10
"""Levels of nested dictionaries; deeper ones are ignored."""


ONE_NUMBER = "one number is expected, not {}"


class NoNumberError(Exception):
    """A value that is not one number; the message says why."""


class DeviceValue(NamedTuple):
    """A copy of a tensor of one element on a device, to be read later."""

    tensor: Any
    stream: Any
    """The CUDA stream that computes it; None on other devices."""


Value: TypeAlias = float | DeviceValue


class Converter:
    """Converts dictionaries of values to flat dictionaries of numbers by the name of the series."""

    def __init__(self, warn: Callable[[str, str], None]) -> None:
        """Convert values.

        Args:
            warn: Receives the subject of a problem, and its text as a sentence.
        """
        self._warn = warn
        self._names: dict[str, str] = {}
        """Clean names by the logged ones; empty for names that are not recorded."""
        self._kept_names: set[Any] = set()
        """Names that are clean as they are logged."""
        self.has_device_values = False
        """True once a value was a tensor on a device."""

    def convert(self, values: Mapping[Any, Any]) -> dict[str, Value]:
        """Return the numbers in a dictionary; warn of values that are none."""
        if type(values) is dict and self._kept_names.issuperset(values):
            for value in values.values():
                if type(value) is not float:
                    break
            else:
                return values.copy()
        found: dict[str, Value] = {}
        if hasattr(values, "items"):
            self._add(values, "", found, 0)
        else:
            kind = type(values).__name__
            self._warn("log", f"log takes a dictionary of names and numbers, not {kind}")
        return found

    def _add(
        self, values: Mapping[Any, Any], prefix: str, found: dict[str, Value], depth: int
    ) -> None:
        names = self._names
        for key, value in values.items():
            raw = f"{prefix}{key}" if prefix or type(key) is not str else key
            name = names.get(raw)
            if type(value) is float and name:
                found[name] = value
            elif isinstance(value, Nothing):  # reported where it was made
                pass
            elif isinstance(value, Mapping):
                if depth == MAX_DEPTH:
                    self._warn(
                        raw[:MAX_NAME], f"{raw[:MAX_NAME]!r} is not recorded: nested too deeply"
                    )
                else:
                    self._add(value, f"{raw}/", found, depth + 1)
            else:
                name = name if name is not None else self._new_name(raw)
                number = self._number(name, value) if name else None
                if number is not None:
                    found[name] = number

    def _new_name(self, raw: str) -> str:
        reserved = 0 if roles_of([raw]).assigned else RESERVED_SERIES
        if len(self._names) >= MAX_SERIES - reserved:
            limit = f"Only {MAX_SERIES - RESERVED_SERIES} series are recorded"
            text = f"{limit}, and losses, accuracies and rates: {clean_name(raw)!r} is not"
            self._warn("series", text)
            return ""
        name = self._names[raw] = clean_name(raw)
        if not name:
            self._warn("", "A value without a name is not recorded")
        elif name == raw:
            self._kept_names.add(name)
        elif name != raw.strip():
            self._warn(
                name, f"A series is recorded as {name!r}: its name is too long or unprintable"
            )
        return name

    def _number(self, name: str, value: object) -> Value | None:
        try:
            number = _to_number(value)
            self.has_device_values |= type(number) is DeviceValue
            return number
        except Exception as error:  # noqa: BLE001 - an object of the user may raise anything
            text = f"{name!r} is not recorded: {type(value).__name__} is no number"
            if isinstance(error, NoNumberError):
                text = f"{name!r} is not recorded: {error}"
            elif not isinstance(error, TypeError | ValueError | AttributeError):
                text = f"{name!r} is not recorded: {error_text(error)[:200]}"
            self._warn(name, text)
            return None


def _to_number(value: Any) -> Value:
    """Return a number, or a tensor on a device.

    Raises:
        Exception: it is neither.
    """
    if isinstance(value, (int, float)):
        return float(value)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _from_tensor(torch, value)
    if isinstance(value, str | bytes | complex):
        raise TypeError
    if (size := getattr(value, "size", 1)) != 1 and isinstance(size, int):
        raise NoNumberError(ONE_NUMBER.format(size))
    item = getattr(value, "item", None)  # NumPy, JAX
    return float(value if item is None else item())


def _from_tensor(torch: Any, tensor: Any) -> Value:
    if hasattr(tensor, "full_tensor"):
        raise NoNumberError("a distributed tensor: log value.full_tensor() on every process")
    if tensor.is_meta:
        raise NoNumberError("a tensor on the meta device has no value")
    if tensor.numel() != 1:
        raise NoNumberError(ONE_NUMBER.format(tensor.numel()))
    if tensor.is_complex():
        raise ValueError
    if tensor.device.type in READ_AT_ONCE:
        return float(tensor.item())
    copy = tensor.detach().clone()  # the loop may change it in place
    copy = copy.reshape(()) if copy.ndim else copy
    is_cuda = tensor.device.type == "cuda"
    return DeviceValue(copy, torch.cuda.current_stream(tensor.device) if is_cuda else None)


def read_device_values(
    values: Iterable[DeviceValue],
) -> tuple[dict[int, float], dict[int, Exception]]:
    """Read tensors from their devices, all of one kind at once, or one by one if that fails.

    Returns:
        Numbers by `id(tensor)`, and the errors of tensors that cannot be read.
    """
    groups: dict[tuple[str, Any, Any], list[Any]] = {}
    for value in values:
        key = str(value.tensor.device), value.tensor.dtype, value.stream
        groups.setdefault(key, []).append(value.tensor)
    found: dict[int, float | Exception] = {}
    torch = sys.modules.get("torch")
    for (_, _, stream), tensors in groups.items():
        assert torch is not None  # noqa: S101 - its tensors exist
        with torch.cuda.stream(stream), torch.no_grad():  # does nothing if it is None
            found |= zip(map(id, tensors), _read_together(torch, tensors), strict=True)
    numbers = {key: value for key, value in found.items() if isinstance(value, float)}
    errors = {key: value for key, value in found.items() if isinstance(value, Exception)}
    return numbers, errors


def _read_together(torch: Any, tensors: list[Any]) -> Sequence[float | Exception]:
    """Return the numbers of tensors, or the errors of those that cannot be read."""
    try:
        return [float(value) for value in torch.stack(tensors).tolist()]
    except Exception:  # noqa: BLE001 - a device may fail in any way
        return [_read(tensor) for tensor in tensors]


def _read(tensor: Any) -> float | Exception:
    try:
        return float(tensor.item())
    except Exception as error:  # noqa: BLE001 - a device may fail in any way
        return error
