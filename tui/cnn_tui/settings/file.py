"""Reads `config.toml` as far as it can be read, and finds the lines of its keys."""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from cnn_engine.config.paths import expand_home
from cnn_engine.storage.regular_files import open_regular
from cnn_engine.storage.user_directories import user_config_directory

FILE_VARIABLE = "CNN_TUI_CONFIG"
"""Variable that names another file; the null device for none."""

MAX_BYTES = 1_000_000
MAX_MISTAKES = 20
"""Wrong lines after which a file is taken for something else than TOML."""

LINE = r"\(at line (\d+)"
VALUE = r"\s*[\w.\"'-]+\s*=\s*[\w.~/-]+\s*(#.*)?"
"""A key with a value of one word."""

HEADER, ENTRY = r"\s*\[([^\[\]]+)\]", r"\s*([\w.\"'\s-]+?)\s*="
"""These are compiled only if there is a mistake."""


class SettingsFile(NamedTuple):
    """Contents of a file of settings."""

    path: Path
    tables: dict[str, Any]
    text: str = ""
    problems: tuple[str, ...] = ()
    """Each a line with the file, and the line if there is one."""

    def place(self, key: str) -> str:
        """Return a dotted key after its file and, if found, its line: `FILE:3: run.device`."""
        number = _line_number(self.text, key)
        return f"{self.path}:{number}: {key}" if number else f"{self.path}: {key}"


def config_path() -> Path:
    """Return the path of the file, which may not exist."""
    if named := os.environ.get(FILE_VARIABLE):
        return Path(expand_home(named))
    return user_config_directory() / "config.toml"


def read_file(path: Path) -> SettingsFile:
    """Return the contents of a file without the lines that are not TOML; empty if it is missing."""
    problem = ""
    try:
        if path == Path(os.devnull):
            return SettingsFile(path, {})
        with open_regular(path) as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) <= MAX_BYTES:
            return _parse(path, content.decode("utf-8-sig"))
        problem = f"is larger than {MAX_BYTES:,} bytes; not a file of settings"
    except (FileNotFoundError, NotADirectoryError):
        if not os.environ.get(FILE_VARIABLE):
            return SettingsFile(path, {})
        problem = f"does not exist; {FILE_VARIABLE} names it; create it with: cnn-tui settings edit"
    except IsADirectoryError:
        problem = f"is a directory; move it away, or name a file with {FILE_VARIABLE}"
    except UnicodeDecodeError:
        problem = "is not UTF-8 text; save it as UTF-8"
    except (OSError, ValueError) as error:  # ValueError: a name with NUL
        reason = error.strerror if isinstance(error, OSError) else error
        problem = f"cannot be read: {reason}; check it, or name another with {FILE_VARIABLE}"
    return SettingsFile(path, {}, problems=(f"{path}: {problem}",))


def _parse(path: Path, text: str) -> SettingsFile:
    """Parse TOML; leave out lines that are wrong, as far as they can be found."""
    import tomllib  # noqa: PLC0415 - only if there is a file

    lines, problems = text.split("\n"), list[str]()
    while len(problems) < MAX_MISTAKES:
        try:
            return SettingsFile(path, tomllib.loads("\n".join(lines)), text, tuple(problems))
        except (ValueError, RecursionError) as error:
            reason = "too deeply nested" if isinstance(error, RecursionError) else str(error)
            found = re.search(LINE, reason)
            index = int(found[1]) - 1 if found else -1
            line = lines[index].strip() if found else ""
            where = f"{path}:{index + 1}" if found else path
            problems.append(f"{where}: not valid TOML: {reason.partition(' (at ')[0]}{_hint(line)}")
            if not line or line.startswith("["):
                break
            lines[index] = ""
    return SettingsFile(path, {}, text, (f"{problems[0]}; nothing in this file is used",))


def _hint(line: str) -> str:
    """Return how to write a line whose value is a bare word; empty for other lines."""
    if not re.fullmatch(VALUE, line):
        return ""
    key, _, rest = line.partition("=")
    value = rest.partition("#")[0].strip()
    right = value.lower() if value.lower() in ("true", "false") else f'"{value}"'
    return f"; write {key.strip()} = {right}"


def _line_number(text: str, key: str) -> int:
    """Return the number of the line of a key, counted from 1; 0 if it is not found."""
    table, header_number = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        if header := re.match(HEADER, line):
            table = _plain(header[1])
            if table == key:
                header_number = number
        elif (entry := re.match(ENTRY, line)) and f"{table}.{_plain(entry[1])}".strip(".") == key:
            return number
    return header_number


def _plain(key: str) -> str:
    """Return a key without quotes, and without spaces around its dots."""
    return ".".join(part.strip().strip("\"'") for part in key.split("."))
