"""Every key there is: the one table that bindings, the line of keys, the palette and help use."""

from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from textual.binding import Binding, BindingType

Scope: TypeAlias = Literal[
    "run",
    "live",
    "classes",
    "mistakes",
    "model",
    "log",
    "panel",
    "runs",
    "lesson",
    "compare",
]
"""Where a key works: on the whole screen of a run, in one of its views, in a panel that has the
focus, in the list of runs, in the lesson, where several runs are compared."""

SCOPES: dict[Scope, str] = {
    "run": "Everywhere",
    "live": "Live",
    "classes": "Classes",
    "mistakes": "Mistakes",
    "model": "Model",
    "log": "Log",
    "panel": "In a panel chosen with tab",
    "runs": "Runs",
    "lesson": "The lesson",
    "compare": "Comparing",
}


class Key(NamedTuple):
    """One key, or several that do the same."""

    scope: Scope
    keys: str
    """Textual's names, with commas between."""

    shown: str
    """How it is written for people."""

    action: str
    """What it does: an action of the screen, or of the view that is its place."""

    label: str
    """A word for the line of keys."""

    help: str
    """What it does, in a phrase."""

    rank: int = 0
    """Which go first from a line of keys that is too short: the greatest; 0 is never in it."""

    opens: str = ""
    """The view that the key opens, if any."""

    controls: bool = False
    """Whether it asks something of the engine, so that the run must be going on."""


@runtime_checkable
class HasKeys(Protocol):
    """A screen whose keys are in the table."""

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Where its keys work."""

    async def press(self, key: Key) -> None:
        """Do what a key does."""


KEYS = (
    Key("run", "p", "p", "ask('pause')", "pause", "Pause training, or go on", 2, controls=True),
    Key("run", "s", "s", "ask('stop')", "stop", "Stop, now or after this epoch", 2, controls=True),
    Key(
        "run",
        "c",
        "c",
        "ask('checkpoint')",
        "checkpoint",
        "Save a checkpoint now",
        4,
        controls=True,
    ),
    Key("run", "r", "r", "ask('rate')", "rate", "Change the learning rate", 3, controls=True),
    Key("run", "e", "e", "ask('epochs')", "epochs", "Train more or fewer epochs", 6, controls=True),
    Key(
        "run",
        "d",
        "d",
        "ask('detach')",
        "detach",
        "Train on in the background",
        5,
        controls=True,
    ),
    Key("live", "left", "←", "move(-1)", "cursor", "Read the curve: cursor to the left"),
    Key("live", "right", "→", "move(1)", "cursor", "Cursor to the right"),
    Key("live", "shift+left", "shift ←", "move_epochs(-1)", "epoch", "Cursor one epoch back"),
    Key("live", "shift+right", "shift →", "move_epochs(1)", "epoch", "Cursor one epoch on"),
    Key("live", "home", "home", "move(-10000)", "first", "Cursor to the first step"),
    Key("live", "end", "end", "move(10000)", "newest", "Cursor to the newest step"),
    Key(
        "live",
        "plus,equals_sign",
        "+",
        "zoom(1)",
        "zoom",
        "Zoom in, on cursor or newest",
        6,
    ),
    Key("live", "minus", "-", "zoom(-1)", "out", "Zoom out"),
    Key("live", "0", "0", "show_all", "all", "Show the whole run"),
    Key("live", "f", "f", "follow", "follow", "Put the cursor away, follow the newest"),
    Key("live", "l", "l", "log", "log", "Logarithmic scale, on or off", 7),
    Key("live", "m", "m", "smooth", "smooth", "Smooth the training curve: not, more, most", 7),
    Key("classes", "o", "o", "order", "order", "Order: as given, worst first, by name", 5),
    Key("classes", "m", "m", "matrix", "matrix", "Confusion matrix alone, or not", 5),
    Key("classes", "f", "f", "figures", "figures", "Figures of the test, or the matrix", 5),
    Key("classes", "left", "←", "move(0,-1)", "cell", "Cell of the matrix to the left"),
    Key("classes", "right", "→", "move(0,1)", "cell", "Cell to the right"),
    Key("classes", "up", "↑", "move(-1,0)", "cell", "Cell above"),
    Key("classes", "down", "↓", "move(1,0)", "cell", "Cell below"),
    Key("classes", "pageup", "page ↑", "page(-1)", "page", "A page of classes up"),
    Key("classes", "pagedown", "page ↓", "page(1)", "page", "A page of classes down"),
    Key("classes", "home", "home", "move(-100000,-100000)", "first", "First class"),
    Key("classes", "end", "end", "move(100000,100000)", "last", "Last class"),
    Key("classes", "enter", "enter", "mistakes", "mistakes", "See these mistakes as pictures", 4),
    Key("mistakes", "left", "←", "move(-1,0)", "before", "The one before"),
    Key("mistakes", "right", "→", "move(1,0)", "next", "The next one", 5),
    Key("mistakes", "up", "↑", "move(0,-1)", "up", "A row up"),
    Key("mistakes", "down", "↓", "move(0,1)", "down", "A row down"),
    Key("mistakes", "pageup", "page ↑", "page(-1)", "page", "A page up"),
    Key("mistakes", "pagedown", "page ↓", "page(1)", "page", "A page down"),
    Key("mistakes", "home", "home", "move(-100000,0)", "first", "The most confident one"),
    Key("mistakes", "end", "end", "move(100000,0)", "last", "The last one"),
    Key("mistakes", "enter", "enter", "enlarge", "enlarge", "Enlarge it, or the grid again", 4),
    Key("mistakes", "a", "a", "all", "all", "Those of all classes, after a pair's", 5),
    Key("mistakes", "w", "w", "export", "write", "Write all mistakes as CSV", 5),
    Key("model", "left", "←", "move_image(-1)", "image", "The image before"),
    Key("model", "right", "→", "move_image(1)", "image", "The next image", 4),
    Key("model", "up", "↑", "move_step(-1)", "block", "A step back on its way through the network"),
    Key("model", "down", "↓", "move_step(1)", "block", "A step on, to the next block", 4),
    Key("model", "home", "home", "move_image(-1000)", "first", "The first image"),
    Key("model", "end", "end", "move_image(1000)", "last", "The last image"),
    Key("model", "w", "w", "wrong", "wrong", "Next image that is taken for something else", 5),
    Key("model", "l", "l", "layers", "layers", "The layers alone, or the pictures", 5),
    Key("log", "slash", "/", "search", "search", "Search the log", 5),
    Key("log", "n", "n", "find(1)", "next", "Next line that was searched for", 6),
    Key("log", "N", "N", "find(-1)", "previous", "The one before"),
    Key("log", "f", "f", "follow", "follow", "Follow the newest line", 6),
    Key("log", "up", "↑", "scroll(-1)", "up", "A line up"),
    Key("log", "down", "↓", "scroll(1)", "down", "A line down"),
    Key("log", "pageup", "page ↑", "page(-1)", "page", "A page up"),
    Key("log", "pagedown", "page ↓", "page(1)", "page", "A page down"),
    Key("log", "home", "home", "scroll(-1000000)", "first", "The first line"),
    Key("log", "end", "end", "follow", "newest", "The newest line"),
    Key("panel", "up", "↑", "scroll_up", "up", "A line up"),
    Key("panel", "down", "↓", "scroll_down", "down", "A line down"),
    Key("panel", "pageup", "page ↑", "page_up", "page", "A page up"),
    Key("panel", "pagedown", "page ↓", "page_down", "page", "A page down"),
    Key("panel", "home", "home", "scroll_home", "first", "The first line"),
    Key("panel", "end", "end", "scroll_end", "last", "The last line"),
    Key(
        "run",
        "1",
        "1",
        "view('live')",
        "live",
        "Live: curves, epochs, checkpoints",
        3,
        opens="live",
    ),
    Key(
        "run",
        "2",
        "2",
        "view('classes')",
        "classes",
        "Classes: accuracy, confusion",
        3,
        opens="classes",
    ),
    Key(
        "run",
        "3",
        "3",
        "view('mistakes')",
        "mistakes",
        "Mistakes: what was taken for what",
        3,
        opens="mistakes",
    ),
    Key(
        "run",
        "4",
        "4",
        "view('model')",
        "model",
        "Model: layers, filters, feature maps",
        3,
        opens="model",
    ),
    Key("run", "5", "5", "view('log')", "log", "Log: events and captured output", 3, opens="log"),
    Key("run", "h", "h", "explain", "explain", "The lesson: how such a network works"),
    Key("run", "t", "t", "app.next_theme", "theme", "Theme: dark, light, colour-blind"),
    Key("run", "b", "b", "bell", "bell", "Ring at an alarm, or be silent"),
    Key("run", "tab", "tab", "app.focus_next", "panel", "Next panel, to scroll it"),
    Key("run", "ctrl+p", "ctrl p", "app.command_palette", "commands", "Find any of these by name"),
    Key("run", "ctrl+l", "ctrl l", "app.redraw", "redraw", "Paint the whole screen again"),
    Key("run", "question_mark", "?", "help", "help", "These keys", 1),
    Key("run", "escape", "esc", "back", "back", "Put the cursor away, else leave"),
    Key("run", "q", "q", "leave", "quit", "Leave; asks where that would end the run", 1),
    Key("run", "ctrl+c", "ctrl c", "interrupt", "interrupt", "The same, as an interruption"),
    Key("runs", "enter", "enter", "open", "open", "Open the run", 1),
    Key("runs", "slash", "/", "filter", "filter", "Filter: acc>0.9 lr<=0.001 status=done", 2),
    Key("runs", "s", "s", "do('sort')", "sort", "Sort by any figure or key of a config", 4),
    Key("runs", "less_than_sign", "<", "sort_next(-1)", "sort", "Sort by the column before"),
    Key("runs", "greater_than_sign", ">", "sort_next(1)", "sort", "Sort by the next column"),
    Key("runs", "i", "i", "invert", "invert", "The other way round"),
    Key("runs", "space", "space", "choose", "choose", "Choose the run, or no longer", 4),
    Key("runs", "c", "c", "compare", "compare", "Compare the chosen runs, up to eight", 4),
    Key("runs", "asterisk", "*", "do('star')", "star", "Star, or not", 6),
    Key("runs", "r", "r", "do('rename')", "rename", "Change the run's name", 7),
    Key("runs", "o", "o", "do('note')", "note", "Write a note", 7),
    Key("runs", "number_sign", "#", "do('tags')", "tags", "Change the tags", 7),
    Key("runs", "d,delete", "d", "do('delete')", "delete", "Delete, recoverably", 5),
    Key("runs", "u", "u", "do('undo')", "undo", "Bring back what was deleted last"),
    Key("runs", "g", "g", "do('resume')", "go on", "Go on with a run that was stopped", 5),
    Key("runs", "l", "l", "do('like')", "like", "Train another like it, with changes", 3),
    Key("runs", "n", "n", "do('new')", "new", "Train a preset, with changes", 3),
    Key("runs", "up,k", "↑", "move(-1)", "up", "A run up"),
    Key("runs", "down,j", "↓", "move(1)", "down", "A run down"),
    Key("runs", "pageup", "page ↑", "page(-1)", "page", "A page up"),
    Key("runs", "pagedown", "page ↓", "page(1)", "page", "A page down"),
    Key("runs", "home", "home", "move(-1000000)", "first", "The first run"),
    Key("runs", "end", "end", "move(1000000)", "last", "The last run"),
    Key("runs", "t", "t", "app.next_theme", "theme", "Theme: dark, light, colour-blind"),
    Key("runs", "ctrl+p", "ctrl p", "app.command_palette", "commands", "Find any of these by name"),
    Key("runs", "ctrl+l", "ctrl l", "app.redraw", "redraw", "Paint the whole screen again"),
    Key("runs", "question_mark", "?", "help", "help", "These keys", 1),
    Key("runs", "escape", "esc", "back", "back", "Leave the filter or the choice, else quit"),
    Key("runs", "q", "q", "app.quit", "quit", "Quit", 1),
    Key("lesson", "space,right,enter", "space", "turn(1)", "on", "On: the next step, or page", 1),
    Key("lesson", "left,backspace", "←", "turn(-1)", "back", "Back", 1),
    *(
        Key("lesson", f"{number}", f"{number}", f"go({number})", "", f"Chapter {number}")
        for number in range(1, 9)
    ),
    Key("lesson", "up", "↑", "scroll(-1)", "up", "A line up"),
    Key("lesson", "down", "↓", "scroll(1)", "down", "A line down"),
    Key("lesson", "t", "t", "app.next_theme", "theme", "Theme: dark, light, colour-blind", 2),
    Key("lesson", "question_mark", "?", "help", "help", "These keys", 1),
    Key("lesson", "q,escape", "q", "leave", "leave", "Leave", 1),
    Key("compare", "x", "x", "along", "axis", "Curves by epoch, by step, or by time", 3),
    Key("compare", "v", "v", "series", "curves", "Both losses, one of them, or accuracy", 3),
    Key("compare", "left", "←", "move(-1)", "cursor", "Cursor to the left; in a table: runs"),
    Key("compare", "right", "→", "move(1)", "cursor", "Cursor to the right"),
    Key("compare", "shift+left", "shift ←", "move(-10)", "leap", "Cursor ten columns back"),
    Key("compare", "shift+right", "shift →", "move(10)", "leap", "Cursor ten columns on"),
    Key("compare", "plus,equals_sign", "+", "zoom(1)", "zoom", "Zoom in, on cursor or newest", 5),
    Key("compare", "minus", "-", "zoom(-1)", "out", "Zoom out"),
    Key("compare", "0", "0", "show_all", "all", "Show all of the runs"),
    Key("compare", "f", "f", "follow", "follow", "Put the cursor away"),
    Key("compare", "l", "l", "log", "log", "Logarithmic scale, on or off", 6),
    Key("compare", "m", "m", "smooth", "smooth", "Smooth the training curves", 6),
    Key("compare", "1", "1", "view('curves')", "curves", "Curves and figures", 2, opens="curves"),
    Key(
        "compare",
        "2",
        "2",
        "view('settings')",
        "config",
        "What was set differently",
        2,
        opens="settings",
    ),
    Key(
        "compare", "3", "3", "view('by-class')", "classes", "Accuracy by class", 2, opens="by-class"
    ),
    Key("compare", "t", "t", "app.next_theme", "theme", "Theme: dark, light, colour-blind"),
    Key("compare", "tab", "tab", "app.focus_next", "panel", "The table of figures, to scroll it"),
    Key("compare", "ctrl+l", "ctrl l", "app.redraw", "redraw", "Paint the whole screen again"),
    Key("compare", "question_mark", "?", "help", "help", "These keys", 1),
    Key("compare", "escape", "esc", "back", "back", "Put the cursor away, else leave"),
    Key("compare", "q", "q", "leave", "leave", "Leave", 1),
)


def keys_for(*scopes: Scope) -> list[Key]:
    """The keys that work there, in the table's order."""
    return [key for key in KEYS if key.scope in scopes]


def bindings_for(scope: Scope) -> list[BindingType]:
    """The bindings of a screen or a view."""
    return [
        Binding(key.keys, key.action, key.label, show=False, priority=key.keys == "ctrl+c")
        for key in keys_for(scope)
    ]
