"""`cnn-tui configs`: the presets."""

import sys
from typing import Annotated

import typer

from cnn_engine.errors import ConfigError
from cnn_tui.cli.completion import complete_preset
from cnn_tui.cli.options import AsJson
from cnn_tui.text.json import to_json
from cnn_tui.text.shell import shell_command


def configs(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="PRESET",
            help="Preset to print, as a start for your own config.",
            autocompletion=complete_preset,
        ),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of configs, with all keys.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the presets, print one, or print the schema of all keys.

    Editors such as VS Code with Even Better TOML find the schema by the comment #:schema.
    """
    from cnn_engine.config.preset_files import (
        describe_presets,
        list_presets,
        read_preset,
        schema_path,
    )

    presets = list_presets()
    if schema:
        print(schema_path().read_text(encoding="utf-8"), end="")
    elif name is None:
        descriptions = describe_presets()
        lines = [f"{preset:<14} {text}" for preset, text in descriptions.items()]
        print(to_json(descriptions) if as_json else "\n".join(lines))
        if sys.stdout.isatty() and not as_json:
            train, copy = shell_command("run", "PRESET"), shell_command("configs", "PRESET")
            print(f"\nTrain: {train}   Copy and edit: {copy} > mine.toml", file=sys.stderr)
    elif name in presets:
        print(read_preset(presets[name]), end="")
    else:
        raise ConfigError(f"configs: no preset {name!r}; available: {', '.join(presets)}")
