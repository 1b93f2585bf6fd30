"""The form for a new run: every key of its config, checked as it is typed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from cnn_engine.config.presets import format_value, from_dict, parse_value
from cnn_engine.config.schema import Config
from cnn_engine.errors import ConfigError, UserError
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.marks import checked_name
from cnn_engine.session.background import start_in_background
from cnn_engine.session.request import Request
from cnn_tui.text.safe import safe_text

NAME = "name"


class NewRunDialog(ModalScreen[RunDirectory | None]):
    """Asks for changes, trains in the background, and returns the run; None for none."""

    BINDINGS = [
        Binding("escape", "dismiss(None)", show=False),
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
            height: auto;
            max-height: 100%;
            padding: 0 2;
            border: round $primary;
            border-title-color: $primary;
            border-subtitle-color: $muted;
            background: $surface;
        }
        VerticalScroll {
            height: auto;
            max-height: 1fr;
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
        .told {
            display: none;
            width: 100%;
            padding: 0 0 0 2;
            color: $muted;
            &.-told { display: block; }
            &.-wrong {
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
        """Ask.

        Args:
            request: What to train if nothing is changed.
            runs_dir: Where the run will be kept.
        """
        super().__init__()
        self._request, self._runs_dir = request, runs_dir
        self._tables: dict[str, dict[str, Any]] = request.config.model_dump(mode="json")
        self._config: Config | None = request.config

    @classmethod
    def from_run(cls, run: RunDirectory) -> Self:
        """For a run like this one.

        Raises:
            ConfigError: its log does not tell what it trained, or another version has to read it.
        """
        return cls(Request.from_run(run), run.path.parent)

    @classmethod
    def from_preset(cls, preset: str, runs_dir: Path) -> Self:
        """For a run of a preset; `folder` needs to be told which, so that may be wrong at first."""
        return cls(
            Request.from_preset(preset, ["data.path=."] if preset == "folder" else []), runs_dir
        )

    def compose(self) -> ComposeResult:
        """A line for each key, and beneath it what is wrong with it or what it was."""
        whose = f"like {self._request.like}" if self._request.like else self._request.preset
        with Vertical() as box:
            box.border_title = f"A run {safe_text(whose, 40)}"
            box.border_subtitle = "enter: train in the background   esc: leave"
            with VerticalScroll(can_focus=False):
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
        yield Label("", id=f"{_id(key)}-told", classes="told", markup=False)

    def on_mount(self) -> None:
        """Begin with the name."""
        self.query_one(f"#{_id(NAME)}", Input).focus()

    @on(Input.Changed)
    def _check(self) -> None:
        """See whether a config comes of what is typed, and say at each key what is wrong."""
        left: list[str] = []
        try:
            checked_name(self._text(NAME))
            self._config = from_dict(self._typed())
        except ConfigError as error:
            self._config, left = None, [*error.problems]
        for key in (NAME, *self._keys()):
            wrong = [text for text in left if text.startswith((f"{key}:", f"{key}."))]
            left = [text for text in left if text not in wrong]
            self._tell(key, wrong)
        self.query_one("#problem", Label).update(safe_text("; ".join(left), 500))

    def _tell(self, key: str, wrong: list[str]) -> None:
        told = self.query_one(f"#{_id(key)}-told", Label)
        was = format_value(self._value(key)) if key != NAME else ""
        text = "; ".join(problem.removeprefix(f"{key}: ") for problem in wrong)
        if not wrong and key != NAME and self._text(key) != was:
            text = f"was {was or 'not set'}"
        told.update(safe_text(text, 300))
        told.set_class(bool(text), "-told")
        told.set_class(bool(wrong), "-wrong")

    @on(Input.Submitted)
    def _start(self) -> None:
        """Train, if what is typed is a config."""
        if self._config is None:
            return
        try:
            run = create_run(self._runs_dir)
            start_in_background(self._asked(self._config), run)
        except UserError as error:
            self.query_one("#problem", Label).update(safe_text(str(error), 500))
        else:
            self.dismiss(run)

    def _asked(self, config: Config) -> Request:
        what = ("--like", self._request.like) if self._request.like else (self._request.preset,)
        changed = [key for key in self._keys() if self._text(key) != format_value(self._value(key))]
        settings = [word for key in changed for word in ("--set", f"{key}={self._text(key)}")]
        name = checked_name(self._text(NAME))
        command = ("cnn-tui", "run", *what, *settings)
        return replace(self._request, config=config, name=name, command=command)

    def _keys(self) -> Iterator[str]:
        return (f"{table}.{key}" for table, values in self._tables.items() for key in values)

    def _value(self, key: str) -> Any:  # noqa: ANN401 - whatever a config holds
        table, _, name = key.partition(".")
        return self._tables[table][name]

    def _text(self, key: str) -> str:
        return self.query_one(f"#{_id(key)}", Input).value.strip()

    def _typed(self) -> dict[str, dict[str, Any]]:
        """The tables as they are typed; what is left empty is not set."""
        return {
            table: {
                key: parse_value(text) if (text := self._text(f"{table}.{key}")) else None
                for key in values
            }
            for table, values in self._tables.items()
        }


def _id(key: str) -> str:
    """A widget's id for a key."""
    return f"key-{key.replace('.', '-')}"
