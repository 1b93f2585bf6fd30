"""The table of all keys: the source of bindings, key bar, palette and help."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from textual.app import App
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.keys import REPLACED_KEYS, key_to_character

from cnn_engine.runs.commands import Name

View: TypeAlias = Literal["live", "classes", "mistakes", "model", "log", "metrics"]
"""Names of the views of a run."""

Scope: TypeAlias = View | Literal["run", "panel", "runs", "lesson", "compare"]
"""Part of the dashboard in which a key works: a screen, a view of a run, or a focused panel."""

SCOPES: dict[Scope, str] = {
    "run": "All views",
    "live": "Live",
    "classes": "Classes",
    "mistakes": "Mistakes",
    "model": "Model",
    "log": "Log",
    "metrics": "Metrics",
    "panel": "In a panel focused with tab",
    "runs": "Runs",
    "lesson": "Lesson",
    "compare": "Compare",
}
"""Headings of the scopes in the help."""

KEY_NAMES = {
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "pageup": "page ↑",
    "pagedown": "page ↓",
    "delete": "del",
    "escape": "esc",
    "question_mark": "?",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "asterisk": "*",
    "number_sign": "#",
    "percent_sign": "%",
    "comma": ",",
    "full_stop": ".",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
}
"""Names of keys on the screen that differ from Textual's names."""


NO_KEYMAP: Mapping[str, str] = MappingProxyType({})
"""Own keys of a user who has none."""


KEY_ID = re.compile(r"\{([a-z]+\.[a-z_]+)\}")
"""The id of a key in a text."""


@dataclass(frozen=True)
class Key:
    """A key, or several with the same effect."""

    name: str
    """Name that is unique in the scope."""

    keys: str
    """Textual's names, separated by commas."""

    label: str
    """Word for the key bar."""

    help: str
    """Phrase for the help and the palette."""

    rank: int = 0
    """Order of removal from a key bar that is too narrow, highest first; 0 is never shown."""

    action: str = ""
    """Action of the screen or view; empty if it equals `name`."""

    controls: Name | None = None
    """Command that it sends to the engine, which works only while the run is running."""

    in_palette: bool = True
    """False for cursor keys and for actions that the palette offers anyway."""

    view: str = ""
    """View that the key opens; empty if it opens none."""

    priority: bool = False
    """True if it has priority over the keys of the focused widget."""

    scope: Scope = "run"

    @property
    def id(self) -> str:
        """Id of its bindings, by which a keymap can change the keys."""
        return f"{self.scope}.{self.name}"

    @property
    def shown(self) -> str:
        """Name of its first key on the screen."""
        *modifiers, key = self.keys.partition(",")[0].split("+")
        return " ".join([*modifiers, KEY_NAMES.get(key) or _character(key) or key])


def _character(key: str) -> str:
    """Return the visible character that a key types; empty for other keys."""
    character = key_to_character(REPLACED_KEYS.get(key, key)) or ""
    return character if character.isprintable() and not character.isspace() else ""


@runtime_checkable
class HasKeys(Protocol):
    """A screen whose keys are in the table."""

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Scopes whose keys work now."""

    @property
    def shown_view(self) -> str:
        """Name of the view that is shown."""

    @property
    def can_control(self) -> bool:
        """True if keys that send commands to a run work."""

    def is_useless(self, key: Key) -> bool:
        """Return True if all that a key does is to report why the run lacks what it needs."""

    def label(self, key: Key) -> str:
        """Return the word for a key, which may depend on the state."""

    def target(self, scope: Scope) -> DOMNode:
        """Return the node that has the actions of a scope."""


def _move(  # noqa: PLR0913, PLR0917 - the columns of the table
    name: str, keys: str, label: str, help_text: str, action: str, rank: int = 0
) -> Key:
    """Return a key that is not in the palette, as those that move or scroll."""
    return Key(name, keys, label, help_text, rank, action, in_palette=False)


def _pages(up: str = "A page up", down: str = "A page down") -> tuple[Key, Key]:
    return (
        _move("page_up", "pageup", "page", up, "page(-1)"),
        _move("page_down", "pagedown", "page", down, "page(1)"),
    )


def _view(name: str, keys: str, label: str, help_text: str, rank: int) -> Key:
    """Return a key that opens a view."""
    return Key(name, keys, label, help_text, rank, f"show_view('{name}')", view=name)


def _in_scope(scope: Scope, *keys: Key) -> tuple[Key, ...]:
    return tuple(replace(key, scope=scope, action=key.action or key.name) for key in keys)


CHART = (
    Key("zoom_in", "plus,equals_sign", "zoom", "Zoom in, at cursor or newest step", 6, "zoom(1)"),
    Key("zoom_out", "minus", "out", "Zoom out", 0, "zoom(-1)"),
    Key("show_all", "0", "all", "Show everything"),
    Key("follow", "f", "follow", "Clear the cursor, follow the newest step"),
    Key("toggle_log", "l", "log", "Logarithmic scale on or off", 7),
    Key("cycle_smoothing", "m", "smooth", "Smoothing: off, light, strong", 7),
)
EPOCHS = (
    _move("epoch_back", "shift+left", "epoch", "Cursor one epoch back", "move_epochs(-1)"),
    _move("epoch_on", "shift+right", "epoch", "Cursor one epoch forward", "move_epochs(1)"),
)
THEME = _move("theme", "t", "theme", "Next theme of colours", "app.next_theme")
PALETTE = _move("palette", "ctrl+p", "commands", "Search all commands", "app.command_palette")
REDRAW = _move("redraw", "ctrl+l", "redraw", "Redraw the whole screen", "app.redraw")
SUSPEND = _move(
    "suspend", "ctrl+z", "suspend", "Suspend, training too; fg continues", "app.suspend_process"
)
NEXT_PANEL = _move("next_panel", "tab", "panel", "Focus the next panel", "app.focus_next")
HELP = Key("help", "question_mark,h,f1", "help", "Show all keys", 1)
COPY = Key("copy", "y", "copy", "Copy the selection, or the run's id, command, error", 8)
BACK = _move("back", "escape", "back", "Clear the cursor or the focus, or go back", "back")

KEYS = (
    *_in_scope(
        "run",
        Key("pause", "p", "pause", "Pause or continue training", 2, controls="pause"),
        Key("stop", "s", "stop", "Stop training, now or after this epoch", 2, controls="stop"),
        Key("save_checkpoint", "c", "save", "Save a checkpoint now", 4, controls="checkpoint"),
        Key("set_lr", "r", "lr", "Change the learning rate", 3, controls="lr"),
        Key("set_epochs", "e", "epochs", "Change the number of epochs", 6, controls="epochs"),
        Key("detach", "d", "detach", "Continue training in the background", 5, controls="detach"),
    ),
    *_in_scope(
        "live",
        _move("cursor_left", "left", "cursor", "Move the cursor left to read values", "move(-1)"),
        _move("cursor_right", "right", "cursor", "Move the cursor right", "move(1)"),
        *EPOCHS,
        _move("first_step", "home", "first", "Cursor to the first step", "move(-10000)"),
        _move("last_step", "end", "newest", "Cursor to the newest step", "move(10000)"),
        *CHART,
        Key("toggle_accuracy", "a", "accuracy", "Accuracy by epoch, or the loss", 7),
    ),
    *_in_scope(
        "classes",
        Key("cycle_order", "o", "order", "Order: as given, worst first, by name", 5),
        Key("toggle_matrix", "m", "matrix", "Confusion matrix alone, or beside the classes", 5),
        Key("toggle_percent", "percent_sign", "percent", "Matrix in percent of the class", 7),
        Key("toggle_metrics", "f", "metrics", "Test metrics, or the confusion matrix", 5),
        _move("cell_left", "left", "cell", "Cell to the left in the matrix", "move(0,-1)"),
        _move("cell_right", "right", "cell", "Cell to the right", "move(0,1)"),
        _move("cell_up", "up", "cell", "Cell above", "move(-1,0)"),
        _move("cell_down", "down", "cell", "Cell below", "move(1,0)"),
        *_pages("A page of classes up", "A page of classes down"),
        _move("first", "home", "first", "First class", "move(-100000,-100000)"),
        _move("last", "end", "last", "Last class", "move(100000,100000)"),
        Key("open_mistakes", "enter", "mistakes", "Images of the selected mistakes", 4),
    ),
    *_in_scope(
        "mistakes",
        _move("previous", "left", "previous", "Previous image", "move(-1,0)"),
        _move("next", "right", "next", "Next image", "move(1,0)", 7),
        _move("row_up", "up", "up", "A row up", "move(0,-1)"),
        _move("row_down", "down", "down", "A row down", "move(0,1)"),
        *_pages(),
        _move("first", "home", "first", "First image", "move(-100000,0)"),
        _move("last", "end", "last", "Last image", "move(100000,0)"),
        Key("next_list", "v", "list", "Mistakes of the test, of the validation, or suspects", 3),
        Key("enlarge", "enter", "enlarge", "Enlarge the image, or back to the grid", 6),
        Key("show_all", "a", "all", "Mistakes of all classes; suspects: next kind", 6),
        Key("toggle_heat", "m", "heat", "Heatmap: what speaks for the predicted class", 6),
        Key("relabel", "l", "relabel", "Mark: is of the likelier class", 3, "mark('relabel')"),
        Key("drop", "minus", "drop", "Mark: leave out of the next runs", 3, "mark('drop')"),
        Key("keep", "k", "keep", "Mark: the label is right", 3, "mark('keep')"),
        Key("unmark", "u", "unmark", "Remove the mark", 6),
        Key("export", "w", "write", "Write this list as CSV", 6),
    ),
    *_in_scope(
        "model",
        _move("previous_image", "left", "image", "Previous image", "move_image(-1)"),
        _move("next_image", "right", "image", "Next image", "move_image(1)", 4),
        _move("previous_stage", "up", "stage", "Previous stage of the network", "move_stage(-1)"),
        _move("next_stage", "down", "stage", "Next stage of the network", "move_stage(1)", 4),
        _move("first_image", "home", "first", "First image", "move_image(-1000)"),
        _move("last_image", "end", "last", "Last image", "move_image(1000)"),
        Key("next_misclassified", "n", "wrong", "Next misclassified image", 5),
        Key("toggle_heat", "m", "heat", "Heatmap: what speaks for the predicted class", 6),
        Key("toggle_layers", "l", "layers", "Layers alone, or the feature maps", 5),
    ),
    *_in_scope(
        "log",
        Key("search", "slash", "search", "Search the log", 5),
        Key("find_next", "n", "next", "Next match", 6, "find(1)"),
        Key("find_previous", "N", "previous", "Previous match", 0, "find(-1)"),
        Key("follow", "f", "follow", "Follow the newest line", 6),
        _move("line_up", "up", "up", "A line up", "scroll(-1)"),
        _move("line_down", "down", "down", "A line down", "scroll(1)"),
        *_pages(),
        _move("first", "home", "first", "First line", "scroll(-1000000)"),
        _move("last", "end", "newest", "Newest line", "follow"),
    ),
    *_in_scope(
        "metrics",
        _move("go_left", "left", "chart", "Chart to the left; enlarged: cursor left", "go(-1,0)"),
        _move("go_right", "right", "chart", "Chart to the right; enlarged: cursor", "go(1,0)"),
        _move("go_up", "up", "up", "Chart above", "go(0,-1)"),
        _move("go_down", "down", "down", "Chart below", "go(0,1)"),
        *_pages("A page of charts up", "A page of charts down"),
        _move("first", "home", "first", "First chart; enlarged: first step", "go_to_end(-1)"),
        _move("last", "end", "last", "Last chart; enlarged: newest step", "go_to_end(1)"),
        Key("enlarge", "enter", "enlarge", "Enlarge the chart, or back to the grid", 4),
        Key("filter", "slash", "filter", "Show only the names that contain some words", 4),
        Key(
            "fewer_columns",
            "left_square_bracket",
            "columns",
            "Fewer columns",
            0,
            "resize_grid(-1,0)",
        ),
        Key(
            "more_columns", "right_square_bracket", "columns", "More columns", 6, "resize_grid(1,0)"
        ),
        Key("fewer_rows", "left_curly_bracket", "rows", "Fewer rows", 0, "resize_grid(0,-1)"),
        Key("more_rows", "right_curly_bracket", "rows", "More rows", 0, "resize_grid(0,1)"),
        _move("cursor_left", "comma", "cursor", "Move the cursor left, in all charts", "move(-1)"),
        _move("cursor_right", "full_stop", "cursor", "Move the cursor right", "move(1)", 7),
        *EPOCHS,
        *CHART,
    ),
    *_in_scope(
        "panel",
        _move("line_up", "up", "up", "A line up", "scroll_up"),
        _move("line_down", "down", "down", "A line down", "scroll_down"),
        _move("page_up", "pageup", "page", "A page up", "page_up"),
        _move("page_down", "pagedown", "page", "A page down", "page_down"),
        _move("first", "home", "first", "First line", "scroll_home"),
        _move("last", "end", "last", "Last line", "scroll_end"),
    ),
    # In the key bar and the help, views and general keys follow those of the view.
    *_in_scope(
        "run",
        _view("live", "1", "live", "Live: curves, epochs, checkpoints", 3),
        _view("classes", "2", "classes", "Classes: accuracy, confusion matrix", 3),
        _view("mistakes", "3", "mistakes", "Mistakes: misclassified images, suspects", 3),
        _view("model", "4", "model", "Model: layers, filters, feature maps", 3),
        _view("log", "5", "log", "Log: events and captured output", 3),
        _view("metrics", "6", "metrics", "Metrics: charts of all series", 3),
        Key("explain", "x", "explain", "Lesson: how such a network works"),
        COPY,
        THEME,
        Key("toggle_bell", "b", "bell", "Alert bell on or off"),
        NEXT_PANEL,
        PALETTE,
        REDRAW,
        SUSPEND,
        HELP,
        BACK,
        Key("quit", "q", "quit", "Quit (asks first if that stops training)", 1),
        Key("interrupt", "ctrl+c", "interrupt", "Quit, recorded as interrupted", priority=True),
    ),
    *_in_scope(
        "runs",
        Key("open", "enter", "open", "Open the run; open or fold the series", 1),
        Key("filter", "slash", "filter", "Filter, e.g. acc>0.9 lr<=0.001 status=done", 2),
        Key("sort", "s", "sort", "Sort by any column, series or config key", 4),
        Key(
            "sort_previous",
            "less_than_sign",
            "sort",
            "Sort by the previous column",
            0,
            "sort_next(-1)",
        ),
        Key("sort_next", "greater_than_sign", "sort", "Sort by the next column", 0, "sort_next(1)"),
        Key("reverse", "i", "reverse", "Reverse the order"),
        Key("watch", "f", "follow", "Follow a running series, run after run"),
        Key("select", "space", "select", "Select or unselect the run, or all of a series", 4),
        Key("compare", "c", "compare", "Compare the selected runs and series, up to eight", 4),
        Key("star", "asterisk", "star", "Star or unstar", 6),
        Key("rename", "r", "rename", "Rename the run", 7),
        Key("edit_note", "o", "note", "Edit the note", 7),
        Key("edit_tags", "number_sign", "tags", "Edit the tags", 7),
        Key("delete", "delete,backspace", "delete", "Move to the trash", 5),
        Key("undo_delete", "u", "undo", "Restore the last deleted run"),
        Key("resume", "g", "resume", "Resume a run or a series, or start a queued one now", 5),
        Key("queue_up", "K,shift+up", "up", "Move a queued run up", 6),
        Key("queue_cancel", "x", "cancel", "Cancel a queued run", 6),
        Key("clone", "l", "clone", "New run from this config", 3),
        Key("new", "n", "new", "New run from a preset", 3),
        COPY,
        _move("fold", "left", "fold", "Fold the series", "fold(True)"),
        _move("unfold", "right", "unfold", "Show the runs of the series", "fold(False)"),
        _move("up", "up,k", "up", "A run up", "move(-1)"),
        _move("down", "down,j", "down", "A run down", "move(1)"),
        *_pages(),
        _move("first", "home", "first", "First run", "move(-1000000)"),
        _move("last", "end", "last", "Last run", "move(1000000)"),
        THEME,
        PALETTE,
        REDRAW,
        SUSPEND,
        HELP,
        _move("back", "escape", "back", "Clear the filter or the selection", "back"),
        _move("quit", "q", "quit", "Quit", "app.quit", 1),
    ),
    *_in_scope(
        "lesson",
        Key("next", "space,right,enter", "next", "Next step or page", 1, "turn(1)"),
        Key("previous", "left,backspace", "back", "Previous step or page", 1, "turn(-1)"),
        *(
            Key(f"chapter_{number}", f"{number}", "", f"Chapter {number}", 0, f"go_to({number})")
            for number in range(1, 10)
        ),
        _move("line_up", "up", "up", "A line up", "scroll(-1)"),
        _move("line_down", "down", "down", "A line down", "scroll(1)"),
        replace(THEME, rank=2),
        PALETTE,
        SUSPEND,
        HELP,
        BACK,
        Key("close", "q", "close", "Close the lesson", 1),
    ),
    *_in_scope(
        "compare",
        Key("next_axis", "x", "axis", "x axis: epoch, step, or time", 3),
        Key("next_metric", "v", "curves", "Curves: losses, one of them, accuracy, series", 3),
        Key("choose_metric", "V", "choose", "Choose the curves, e.g. a series"),
        _move("cursor_left", "left", "cursor", "Cursor left; in a table: runs", "move(-1)"),
        _move("cursor_right", "right", "cursor", "Cursor right", "move(1)"),
        _move("jump_left", "shift+left", "jump", "Cursor ten columns left", "move(-10)"),
        _move("jump_right", "shift+right", "jump", "Cursor ten columns right", "move(10)"),
        *CHART,
        _view("curves", "1", "curves", "Curves and metrics", 2),
        _view("config", "2", "config", "Config differences", 2),
        _view("by-class", "3", "classes", "Accuracy by class", 2),
        THEME,
        NEXT_PANEL,
        PALETTE,
        REDRAW,
        SUSPEND,
        HELP,
        BACK,
        Key("close", "q", "close", "Close the comparison", 1),
    ),
)
"""All keys, in the order of key bar and help."""


def keys_for(*scopes: Scope, keymap: Mapping[str, str] = NO_KEYMAP) -> list[Key]:
    """Return the keys of the scopes, in the table's order.

    Args:
        *scopes: Parts of the dashboard.
        keymap: Own keys by id.
    """
    return [replace(key, keys=keymap.get(key.id, key.keys)) for key in KEYS if key.scope in scopes]


def keymap_of(app: App[object]) -> Mapping[str, str]:
    """Return the own keys of an app by id."""
    return getattr(app, "keymap", NO_KEYMAP)


def shown_key(app: App[object], *ids: str) -> str:
    """Return the name on the screen of the first key with one of the ids; users can change it."""
    keymap = keymap_of(app)
    return next(
        replace(key, keys=keymap.get(key.id, key.keys)).shown for key in KEYS if key.id in ids
    )


def with_keys(app: App[object], text: str) -> str:
    """Return a text with the names of keys in place of their ids, as in `{run.help} shows all`."""
    return KEY_ID.sub(lambda match: shown_key(app, match[1]), text)


def bindings_for(scope: Scope) -> list[BindingType]:
    """Return the bindings of a screen, a view or a panel."""
    return [
        Binding(key.keys, key.action, key.label, show=False, priority=key.priority, id=key.id)
        for key in keys_for(scope)
    ]
