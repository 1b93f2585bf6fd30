"""Writes a new `config.toml`, in which every setting is explained and commented out."""

import json
from collections.abc import Iterable
from itertools import groupby
from textwrap import wrap
from typing import get_args, get_origin

from cnn_tui.settings.fields import KEYS, Setting, all_settings
from cnn_tui.settings.values import choices

HEAD = """\
# Settings of cnn-tui. Each line shows a default: remove its first # and change the value.
# Variables go before this file, and options of the command line before both.
# To see the settings that hold, and mistakes in this file: cnn-tui settings
"""

WIDTH = 98


def template(keys: Iterable[tuple[str, str, str]]) -> str:
    """Return the text of a new file.

    Args:
        keys: Id, default keys and help of each key of the dashboard.
    """
    lines = HEAD.splitlines()
    for section, settings in groupby(all_settings(), key=lambda setting: setting.section):
        for setting in settings:
            if setting.key == KEYS:
                lines += ["", f"[{KEYS}]", "", *_comment(setting), ""]
                lines += [f"# {id_} = {json.dumps(names)}  # {text}" for id_, names, text in keys]
                continue
            if f"[{section}]" not in lines:
                lines += ["", f"[{section}]"]
            lines += ["", *_comment(setting)]
            lines.append(f"# {setting.name} = {json.dumps(setting.default)}")
    return "\n".join(lines) + "\n"


def _comment(setting: Setting) -> list[str]:
    """Return the lines that explain a setting."""
    kind = get_args(setting.kind)[0] if get_origin(setting.kind) is list else setting.kind
    known = choices(kind)
    text = f"{setting.description} One of {', '.join(known)}." if known else setting.description
    names = f"Option {setting.option}, variable" if setting.option else "Variable"
    lines = wrap(text, WIDTH, break_on_hyphens=False)
    return [f"# {line}" for line in (*lines, f"{names} {setting.variable}")]
