"""The help: a list of all keys."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from cnn_tui.charts.loss import MARKS
from cnn_tui.dashboard.dialogs.dialog import Dialog
from cnn_tui.dashboard.keys import SCOPES, Scope, keymap_of, keys_for


class HelpScreen(Dialog[None]):
    """The keys of some scopes, under the names of the scopes."""

    BINDINGS = [Binding("escape,q,question_mark,h,f1,enter", "dismiss", show=False)]
    AUTO_FOCUS = "VerticalScroll"

    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        & > VerticalScroll {
            width: 72;
            max-width: 100%;
            max-height: 90%;
            height: auto;
            padding: 0 2;
            border: round $primary;
            border-title-color: $primary;
            border-subtitle-color: $muted;
            background: $surface;
            scrollbar-size: 0 1;
        }
        Static {
            height: auto;
        }
    }
    """

    def __init__(self, *scopes: Scope) -> None:
        super().__init__()
        self._scopes = scopes

    def on_mount(self) -> None:
        """Close by the own key that has opened it, too."""
        for key in keys_for(*self._scopes, keymap=keymap_of(self.app)):
            if key.name == "help":
                self._bindings.bind(key.keys, "dismiss", show=False)

    def compose(self) -> ComposeResult:
        """Yield the text in a scrollable box."""
        with VerticalScroll() as box:
            box.border_title, box.border_subtitle = "Keys", "esc"
            yield Static(Content("\n").join(self._lines()))

    def _lines(self) -> list[Content]:
        lines = []
        for scope in self._scopes:
            lines += [Content(""), Content.styled(SCOPES[scope], "bold")]
            lines += [
                Content.assemble((f"  {key.shown:<8} ", "bold $primary"), key.help)
                for key in keys_for(scope, keymap=keymap_of(self.app))
            ]
        if "live" in self._scopes:
            marks = "   ".join(f"{glyph} {kind}" for kind, glyph in MARKS.items())
            lines += [Content(""), Content.styled(f"★ best epoch   on the axis: {marks}", "$muted")]
        return [*lines, Content("")]
