"""The form for a new run: all keys of its config, validated while typing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Label

from cnn_engine.config.presets import format_value, from_dict, parse_value
from cnn_engine.config.schema import Config
from cnn_engine.errors import ConfigError, UserError
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.marks import checked_name
from cnn_engine.session.background import start_in_background
from cnn_engine.session.preflight import check_request
from cnn_engine.session.queueing import queue_run
from cnn_engine.session.request import Request, with_absolute_paths
from cnn_tui.dashboard.dialogs.dialog import Dialog, ScrolledBox
from cnn_tui.dashboard.dialogs.folder_note import folder_note
from cnn_tui.live.threads import in_thread
from cnn_tui.settings.notify import settings_targets
from cnn_tui.settings.run_defaults import with_run_defaults
from cnn_tui.text.safe import safe_text

NAME, PATH = "name", "data.path"


def _id(key: str) -> str:
    """Return the id of the input of a key."""
    return f"key-{key.replace('.', '-')}"


class NewRunDialog(Dialog[RunDirectory | None]):
    """Asks for config changes, starts or queues the run and returns it; None: cancelled."""

    BINDINGS = [
        Binding("escape", "dismiss(None)", show=False),
        Binding("ctrl+t", "queue", show=False),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (60, "-wide")]

    DEFAULT_CSS = """
    NewRunDialog {
        align: center middle;
        & > Vertical {
            width: 76;
            max-width: 100%;
            height: 100%;
            padding: 0 2;
            border: round $primary;
            border-title-color: $primary;
            border-subtitle-color: $muted;
            background: $surface;
        }
        ScrolledBox {
            height: 1fr;
            scrollbar-size: 0 1;
        }
        Horizontal {
            height: 1;
        }
        .key {
            width: 24;
            color: $muted;
        }
        &.-slim .key {
            width: 18;
        }
        .heading {
            text-style: bold;
            margin: 1 0 0 0;
        }
        Input {
            width: 1fr;
        }
        .note {
            display: none;
            width: 100%;
            padding: 0 0 0 2;
            color: $muted;
            &.-shown { display: block; }
            &.-error {
                color: $text-error;
                text-style: bold;
            }
        }
        #problem {
            width: 100%;
            color: $text-error;
            text-style: bold;
        }
    }
    """

    def __init__(self, request: Request, runs_dir: Path) -> None:
        """Create the form.

        Args:
            request: The run to start if nothing is changed.
            runs_dir: Directory of the new run.
        """
        super().__init__()
        self._request, self._runs_dir = request, runs_dir
        self._tables: dict[str, dict[str, Any]] = request.config.model_dump(mode="json")
        self._config: Config | None = request.config
        self._is_starting = False

    @classmethod
    def from_preset(cls, preset: str, runs_dir: Path) -> Self:
        """Return the form for a run of a preset; for `folder` the path must still be entered."""
        request = Request.from_preset(preset, ["data.path=."] if preset == "folder" else [])
        return cls(with_run_defaults(request), runs_dir)

    def compose(self) -> ComposeResult:
        """Yield an input for each key, and below it the error or the original value."""
        origin = self._request.like or self._request.preset
        with Vertical() as box:
            box.border_title = Content(f"New run: {safe_text(origin, 40)}")
            box.border_subtitle = "enter: start   ctrl+t: queue   esc: cancel"
            with ScrolledBox():
                yield from self._row(NAME, "")
                for table, values in self._tables.items():
                    yield Label(table, classes="heading")
                    for key, value in values.items():
                        yield from self._row(f"{table}.{key}", format_value(value))
            yield Label("", id="problem", markup=False)

    def _row(self, key: str, text: str) -> Iterator[Horizontal | Label]:
        value = Input(text, id=_id(key), compact=True)
        value.cursor_blink = False  # a blinking cursor never stops writing to the terminal
        yield Horizontal(Label(key.rpartition(".")[2], classes="key"), value)
        yield Label("", id=f"{_id(key)}-note", classes="note", markup=False)

    def on_mount(self) -> None:
        """Focus the name."""
        self.query_one(f"#{_id(NAME)}", Input).focus()

    @on(Input.Changed)
    def _check(self) -> None:
        """Validate the config, and show each error at its key."""
        problems: list[str] = []
        try:
            checked_name(self._text(NAME))
            self._config = from_dict(self._typed_config())
        except ConfigError as error:
            self._config, problems = None, [*error.problems]
        for key in (NAME, *self._keys()):
            key_problems = [text for text in problems if text.startswith((f"{key}:", f"{key}."))]
            problems = [text for text in problems if text not in key_problems]
            self._show_note(key, key_problems)
        self.query_one("#problem", Label).update(safe_text("; ".join(problems), 500))

    @on(Input.Changed, f"#{_id(PATH)}")
    @work(exclusive=True)
    async def _check_path(self) -> None:
        """Show what is in the folder of images, or that there is none."""
        if path := self._text(PATH):
            note = await in_thread(lambda: folder_note(path))
            if self._config is not None and self._text(PATH) == path:
                self._set_note(PATH, note.text, is_error=note.is_error)

    def _show_note(self, key: str, problems: list[str]) -> None:
        """Show the problems of a key, or else its original value if the key was changed."""
        original = format_value(self._value(key)) if key != NAME else ""
        text = "; ".join(problem.removeprefix(f"{key}: ") for problem in problems)
        if not problems and key != NAME and self._text(key) != original:
            text = f"was {original or 'not set'}"
        self._set_note(key, safe_text(text, 300), is_error=bool(problems))

    def _set_note(self, key: str, text: str, *, is_error: bool) -> None:
        note = self.query_one(f"#{_id(key)}-note", Label)
        note.update(text)
        note.set_class(bool(text), "-shown")
        note.set_class(is_error, "-error")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        """Start the run if the config is valid; else go to the first key with a problem."""
        self._submit(starts_now=True)

    def action_queue(self) -> None:
        """Queue the run if the config is valid; else go to the first key with a problem."""
        self._submit(starts_now=False)

    def _submit(self, *, starts_now: bool) -> None:
        if self._config is None:
            self._focus_first_problem()
        elif not self._is_starting:
            self._is_starting = True
            self._start(self._config, starts_now=starts_now)

    @work
    async def _start(self, config: Config, *, starts_now: bool) -> None:
        """Start the run in the background, or queue it, and return it, or show why it cannot be."""
        request = self._new_request(config)

        def start() -> RunDirectory:
            check_request(request)
            if not starts_now:
                return queue_run(request, self._runs_dir)
            run = create_run(self._runs_dir)
            start_in_background(request, run)
            return run

        try:
            run = await in_thread(start)
        except UserError as error:
            self.query_one("#problem", Label).update(safe_text(f"Not started: {error}", 500))
        else:
            self.dismiss(run)
        self._is_starting = False

    def _focus_first_problem(self) -> None:
        """Focus the first input whose note is an error."""
        for key in (NAME, *self._keys()):
            if self.query_one(f"#{_id(key)}-note", Label).has_class("-error"):
                self.query_one(f"#{_id(key)}", Input).focus()
                return

    def _new_request(self, config: Config) -> Request:
        origin = ("--like", self._request.like) if self._request.like else (self._request.preset,)
        changed = [key for key in self._keys() if self._text(key) != format_value(self._value(key))]
        settings = [word for key in changed for word in ("--set", f"{key}={self._text(key)}")]
        name = checked_name(self._text(NAME))
        command = ("cnn-tui", "run", *origin, *settings)
        config = with_absolute_paths(config, self._runs_dir)
        targets, _ = settings_targets()
        return replace(self._request, config=config, name=name, command=command, notify=targets)

    def _keys(self) -> Iterator[str]:
        return (f"{table}.{key}" for table, values in self._tables.items() for key in values)

    def _value(self, key: str) -> Any:  # noqa: ANN401 - any value of a config
        table, _, name = key.partition(".")
        return self._tables[table][name]

    def _text(self, key: str) -> str:
        return self.query_one(f"#{_id(key)}", Input).value.strip()

    def _typed_config(self) -> dict[str, dict[str, Any]]:
        """Return the config as typed, as nested tables; an empty input means None."""
        return {
            table: {
                key: parse_value(text) if (text := self._text(f"{table}.{key}")) else None
                for key in values
            }
            for table, values in self._tables.items()
        }
