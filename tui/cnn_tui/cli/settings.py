"""`cnn-tui settings`: the settings that hold, and their file in an editor."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import typer
from msgspec.structs import replace

from cnn_engine.config.paths import exists, is_file
from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.storage.atomic import write_atomically
from cnn_tui.cli.commands import Command, Commands, Group
from cnn_tui.cli.options import AsJson
from cnn_tui.settings import LoadedSettings, load_settings
from cnn_tui.settings.file import FILE_VARIABLE, config_path, read_file
from cnn_tui.settings.load import read_settings
from cnn_tui.text.json import to_json
from cnn_tui.text.safe import escaped

settings = Commands(
    cls=Group,
    help="Show the settings that hold, or edit their file.\n\n"
    "Without a command, print each setting with its value and where that comes from.",
)


@settings.callback(invoke_without_command=True)
def list_settings(context: typer.Context, as_json: AsJson = False) -> None:
    """Print each setting with its value and where that comes from."""
    if context.invoked_subcommand is not None:
        return
    from cnn_tui.reports.settings import print_settings, to_dict

    loaded, problems = _held(load_settings())
    if as_json:
        print(to_json(to_dict(loaded, problems)))
    else:
        print_settings(loaded)
    _exit_if_any(problems)


@settings.command(cls=Command)
def edit() -> None:
    """Open the file in the editor of VISUAL or EDITOR; a new file explains every setting."""
    path = config_path()
    if not exists(path):
        _create(path)
    elif not is_file(path):
        raise ConfigError(f"{path}: is not a file; name a file with {FILE_VARIABLE}")
    _open_editor(path)
    _exit_if_any(_held(read_settings(read_file(path), os.environ))[1])


def _create(path: Path) -> None:
    """Write a new file.

    Raises:
        StorageError: it cannot be written.
    """
    from cnn_tui.dashboard.keys import KEYS
    from cnn_tui.settings.template import template

    text = template((key.id, key.keys, key.help) for key in KEYS)
    target = Path(os.path.realpath(path))  # of a link whose target does not exist yet
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, text.encode())
        target.chmod(0o600)  # addresses of notifications are secrets
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None


def _open_editor(path: Path) -> None:
    """Run the user's editor until it ends.

    Raises:
        ConfigError: there is none, it cannot be started, or it fails.
    """
    variable = next((name for name in ("VISUAL", "EDITOR") if os.environ.get(name, "").strip()), "")
    if not variable:
        raise ConfigError(f"settings edit: VISUAL and EDITOR are not set; open it yourself: {path}")
    editor = os.environ[variable]
    try:
        code = subprocess.run([*shlex.split(editor), path], check=False).returncode  # noqa: S603
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"settings edit: {variable} {editor!r} cannot be started: {reason}; set it, or open "
            f"the file yourself: {path}"
        ) from None
    if code:
        raise ConfigError(f"settings edit: {editor} ended with code {code}; the file is {path}")


def _held(loaded: LoadedSettings) -> tuple[LoadedSettings, list[str]]:
    """Return the settings without own keys that have a mistake, and all mistakes."""
    if not loaded.values.keys:
        return loaded, [*loaded.problems]
    from cnn_tui.dashboard.keymap import own_keys

    own = own_keys(loaded)
    keys = {id_: names for id_, names in loaded.values.keys.items() if id_ in own.held}
    values = replace(loaded.values, keys=keys)
    return loaded._replace(values=values), [*loaded.problems, *own.problems]


def report_problems(problems: Iterable[str]) -> None:
    """Print mistakes in the settings on stderr, each in a line."""
    for problem in problems:
        print(f"cnn-tui: {escaped(problem, 4000)}", file=sys.stderr)


def _exit_if_any(problems: list[str]) -> None:
    report_problems(problems)
    if problems:
        sys.exit(ConfigError.exit_code)
