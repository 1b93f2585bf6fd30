"""Reads YAML as programs write settings: blocks, lists and plain values, without references."""

import json
import re
from typing import Any

KEY = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'\[\]{}#&*!|>%@-][^#]*?|-[^\s#][^#]*?)\s*:(?=\s|$)"""
)
COMMENT = re.compile(r"(?:^|\s+)#.*$")
TAG = re.compile(r"(?:[!&]\S*\s*)+")
"""Type or name of the value that follows, such as `!!python/tuple` or `&id001`."""

BROKEN_LINE = re.compile(r"\\ +(?:\\ )?")
"""A line break within quotes, joined by a blank."""

HEX_ESCAPE = re.compile(r"\\x([0-9A-Fa-f]{2})")

BLOCK_TEXT = re.compile(r"[|>][-+\d]*")
WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
EMPTY = frozenset({"", "~", "null"})

MAX_DEPTH = 50


def parse_yaml(text: str) -> Any:  # noqa: ANN401 - any value
    """Return the value in a document, as far as it is understood; never raises."""
    return _Lines(text).block(0)


class _Lines:
    """The lines of a document, with a position."""

    def __init__(self, text: str) -> None:
        self._lines = [
            (len(line) - len(line.lstrip()), line.strip())
            for line in text.expandtabs().splitlines()
            if line.strip() and not line.lstrip().startswith("#") and line[:3] not in ("---", "...")
        ]
        self._next = 0

    def block(self, depth: int) -> Any:  # noqa: ANN401 - any value
        """Return the mapping, list or value that begins at this line."""
        if self._next >= len(self._lines) or depth > MAX_DEPTH:
            return None
        indent, text = self._lines[self._next]
        if _is_item(text):
            return self._list(indent, depth)
        if KEY.match(text):
            return self._mapping(indent, depth)
        self._next += 1
        return self._value(text, indent - 1, depth)

    def _list(self, indent: int, depth: int) -> list[Any]:
        found = []
        while self._is_at(indent) and _is_item(text := self._lines[self._next][1]):
            rest = text[1:].lstrip()
            if KEY.match(rest):  # the first key of a mapping, whose others are below it
                self._lines[self._next] = (indent + len(text) - len(rest), rest)
                found.append(self.block(depth + 1))
                continue
            self._next += 1
            found.append(self._value(rest, indent, depth))
        return found

    def _mapping(self, indent: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._is_at(indent) and (match := KEY.match(self._lines[self._next][1])):
            rest = self._lines[self._next][1][match.end() :].strip()
            self._next += 1
            found[_unquoted(match[1])] = self._value(rest, indent, depth)
        return found

    def _is_at(self, indent: int) -> bool:
        return self._next < len(self._lines) and self._lines[self._next][0] == indent

    def _value(self, rest: str, indent: int, depth: int) -> Any:  # noqa: ANN401 - any value
        """Return the value behind a key or a dash, of a line with this indent."""
        tag = TAG.match(rest)
        rest = rest[tag.end() :] if tag else rest
        is_text = BLOCK_TEXT.fullmatch(rest)
        if (not rest or rest.startswith("#")) and self._next < len(self._lines):
            inner, text = self._lines[self._next]
            if inner > indent or (inner == indent and _is_item(text)):
                return self.block(depth + 1)
        continued = [] if is_text else [rest]
        while self._next < len(self._lines) and self._lines[self._next][0] > indent:
            continued.append(self._lines[self._next][1])
            self._next += 1
        return "\n".join(continued) if is_text else _scalar(" ".join(continued))


def _is_item(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _scalar(text: str) -> Any:  # noqa: ANN401 - any value
    if text[:1] in ('"', "'"):
        return _unquoted(text)
    text = COMMENT.sub("", text)
    if text[:1] in ("[", "{"):
        return _flow(text)
    lower = text.lower()
    if lower in EMPTY:
        return None
    return WORDS.get(lower, _number(text))


def _number(text: str) -> int | float | str:
    """Return the number in a text, or the text."""
    if not text.isascii() or not any(map(str.isdigit, text)) or len(text) > 40:
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _flow(text: str) -> Any:  # noqa: ANN401 - any value
    """Return a list or an object on one line; the text itself if it is unusual."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    inner = text[1:-1].strip()
    if text[0] + text[-1] != "[]" or any(bracket in inner for bracket in "[]{}\"'"):
        return {} if text == "{}" else text
    return [_scalar(item.strip()) for item in inner.split(",")] if inner else []


def _unquoted(text: str) -> str:
    """Return the text between quotes; a plain text stays as it is."""
    if text.startswith("'"):
        end = re.match(r"'((?:[^']|'')*)'", text)
        return end[1].replace("''", "'") if end else text
    if text.startswith('"'):
        text = BROKEN_LINE.sub(" ", text)
        text = HEX_ESCAPE.sub(lambda match: json.dumps(chr(int(match[1], 16)))[1:-1], text)
        try:
            decoded, _ = json.JSONDecoder(strict=False).raw_decode(text)
        except ValueError:
            return text.strip('"')
        return str(decoded)
    return text
