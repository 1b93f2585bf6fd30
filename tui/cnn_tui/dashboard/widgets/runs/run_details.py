"""One run of the list: what it is, how it went, and what was other about it."""

from textwrap import wrap

from textual.content import Content

from cnn_engine.runlog.state import RunState
from cnn_engine.runs.summary import RunSummary
from cnn_tui.charts.blocks import sparkline
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.dashboard.widgets.run_header import BADGES
from cnn_tui.text.columns import setting_text
from cnn_tui.text.numbers import date, decimal, duration, percent
from cnn_tui.text.safe import safe_text

LABEL_WIDTH = 9


class RunDetails(Panel):
    """Lines about the run under the cursor."""

    DEFAULT_CSS = """
    RunDetails {
        border: round $border;
        border-title-color: $muted;
        padding: 0 1;
        height: 1fr;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._run: RunSummary | None = None
        self._other: RunSummary | None = None

    def show_run(self, run: RunSummary | None, other: RunSummary | None) -> None:
        """Show a run.

        Args:
            run: Which; None for none.
            other: One that its config is compared with.
        """
        if (run, other) != (self._run, self._other):
            self._run, self._other = run, other
            self.redraw()

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """As much as there is room for."""
        run = self._run
        if run is None:
            return []
        glyph, color = BADGES[run.status]
        star = "★ " if run.star else ""
        lines = [
            Content.styled(f"{star}{safe_text(run.name or run.run_id, width)}", "bold"),
            Content.assemble(
                (f"{glyph} {run.status}", color),
                (f"  {run.epochs_done} of {run.epochs} epochs, {duration(run.seconds)}", "$muted"),
            ),
            *_texts(run.error, "$text-error", width, 4),
            Content(""),
            *_figures(run),
            *_curve(run, width),
            Content(""),
            *_facts(run),
            *_texts(run.note, "italic", width, 4),
        ]
        if self._other is not None:
            lines += [Content(""), *_differences(run, self._other)]
        return lines[:height]


def _line(label: str, *parts: str | tuple[str, str]) -> Content:
    return Content.assemble((f"{label:<{LABEL_WIDTH}}", "$muted"), *parts)


def _texts(text: str, style: str, width: int, most: int) -> list[Content]:
    """A text over a few lines."""
    return [Content.styled(line, style) for line in wrap(safe_text(text, 500), width)[:most]]


def _figures(run: RunSummary) -> list[Content]:
    lines = []
    if run.test_accuracy is not None:
        test = (f"{percent(run.test_accuracy, 2)}", "bold")
        lines.append(_line("test", test, f"   loss {decimal(run.test_loss)}"))
    if run.best_val_accuracy is not None:
        best = (percent(run.best_val_accuracy, 2), "bold")
        lines.append(_line("val", best, f"   loss {decimal(run.best_val_loss)}"))
        lines.append(_line("best", f"epoch {run.best_epoch}"))
    return lines or [Content.styled("no epoch is done yet", "$muted")]


def _curve(run: RunSummary, width: int) -> list[Content]:
    losses = [float("nan") if loss is None else loss for loss in run.val_losses]
    if len(losses) < 2:
        return []
    spark = sparkline(losses, width - LABEL_WIDTH)
    return [_line("val loss", (spark, "$secondary"))]


def _facts(run: RunSummary) -> list[Content]:
    where = [run.device, run.precision, run.host]
    parameters = f"{run.parameters:,} parameters" if run.parameters else ""
    facts = {
        "run": run.run_id,
        "config": run.preset,
        "started": date(run.started),
        "on": " · ".join(filter(None, where)),
        "images": run.source,
        "model": parameters,
        "tags": " ".join(run.tags),
        "damaged": f"{run.damaged_lines:,} lines of its log" if run.damaged_lines else "",
    }
    return [_line(label, safe_text(fact, 200)) for label, fact in facts.items() if fact]


def _differences(run: RunSummary, other: RunSummary) -> list[Content]:
    """Keys of the config that are not as in another run: its value, and what it is here."""
    changed = []
    for table in dict.fromkeys([*run.config, *other.config]):
        mine, theirs = run.config.get(table, {}), other.config.get(table, {})
        for key in dict.fromkeys([*mine, *theirs]):
            if mine.get(key) != theirs.get(key):
                before, now = setting_text(theirs.get(key)), setting_text(mine.get(key))
                changed.append(
                    Content.assemble(
                        (safe_text(f"  {table}.{key}  ", 60), "$muted"),
                        f"{before} → ",
                        (now, "bold"),
                    )
                )
    name = safe_text(other.run_id, 40)
    if not changed:
        return [Content.styled(f"config as of {name}", "$muted")]
    return [Content.styled(f"config, against {name}", "$muted"), *changed]
