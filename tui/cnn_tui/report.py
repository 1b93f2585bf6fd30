"""A run's summary as text in the shell: what `show` prints, and what a dashboard leaves behind."""

from dataclasses import asdict
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cnn_engine.runs import RunDirectory
from cnn_engine.state import RunState
from cnn_engine.summary import RunSummary, read_state, read_summary
from cnn_tui.format import (
    bar,
    command_for,
    date,
    duration,
    figure,
    percent,
    ratio,
    safe_text,
    tta_text,
)

CHART_HEIGHT = 14
RUN_COLUMNS: dict[str, Literal["left", "right"]] = {
    "run": "left",
    "status": "left",
    "config": "left",
    "epochs": "right",
    "val": "right",
    "acc": "right",
    "test": "right",
    "time": "right",
    "started": "left",
    "name": "left",
}
STATUS_STYLES = {
    "done": "green",
    "failed": "bold red",
    "interrupted": "yellow",
    "stopped": "yellow",
}


def run_as_dict(run: RunDirectory) -> dict[str, Any]:
    """A run's figures, epochs and per-class counts as plain values."""
    state, _ = read_state(run)
    return {
        **asdict(read_summary(run)),
        "config": state.config,
        "step_parts": state.part_shares,
        "classes": state.prepared.classes if state.prepared else [],
        "epochs_finished": [
            asdict(epoch) | ({} if epoch.is_validated else {"val_loss": None})
            for epoch in state.epochs
        ],
        "test": asdict(state.test) if state.test else None,
    }


def show_run(run: RunDirectory) -> None:
    """Print the whole summary: figures, curve, per-class grid, path, next commands."""
    from cnn_tui.charts import ChartColors, loss_chart  # noqa: PLC0415 - no list needs plotext

    console = Console(highlight=False)
    state, _ = read_state(run)
    summary = read_summary(run)
    console.print(_heading(summary))
    console.print(_figures(state, summary))
    chart = loss_chart(state, min(console.width, 100), CHART_HEIGHT, ChartColors())
    if chart:
        console.print("\nLoss by epoch: [bright_blue]train[/], [orange1]validation[/]")
        console.print(Text.from_ansi(chart))
    grid = _class_grid(state, console.width)
    if grid:
        console.print(grid)
    path = safe_text(str(run.path.absolute()), 500)
    console.print(Text.assemble(("\nKept in ", "dim"), path))
    console.print(Text.assemble(("Open it ", "dim"), command_for("watch", run)))
    if summary.status in ("stopped", "interrupted") and state.checkpoints:
        console.print(Text.assemble(("Go on   ", "dim"), command_for("resume", run)))


def print_runs(summaries: list[RunSummary]) -> None:
    """Print a table of runs, as given; on a terminal, as many columns as fit whole."""
    console = Console()
    if not console.is_terminal:
        console.width = 200
    rows = [run_cells(run) for run in summaries]
    table = Table(box=None, pad_edge=False, header_style="dim")
    room = console.width
    for column, (heading, justify) in enumerate(RUN_COLUMNS.items()):
        room -= max(cell_len(row[column]) for row in [list(RUN_COLUMNS), *rows]) + 1
        if room < 0:
            break
        table.add_column(heading, justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row[: len(table.columns)]))
    console.print(table)


def run_cells(run: RunSummary) -> list[str]:
    """What a list shows of a run, in the order of `RUN_COLUMNS`."""
    return [
        run.run_id,
        run.status,
        safe_text(run.preset, 16),
        f"{run.epochs_done}/{run.epochs}",
        figure(run.best_val_loss),
        "–" if run.best_val_accuracy is None else percent(run.best_val_accuracy),
        "–" if run.test_accuracy is None else percent(run.test_accuracy),
        duration(run.seconds),
        date(run.started),
        safe_text(run.name, 30),
    ]


def _heading(summary: RunSummary) -> Text:
    names = [summary.preset, summary.name, summary.run_id]
    heading = Text(" · ".join(safe_text(name) for name in names if name), style="bold")
    heading.append(f"   {summary.status}", style=STATUS_STYLES.get(summary.status, "cyan"))
    heading.append(f" after {duration(summary.seconds)}", style="dim")
    return heading


def _figures(state: RunState, summary: RunSummary) -> RenderableType:
    lines = []
    if summary.error:
        lines.append(Text(safe_text(summary.error, 2000), style="bold red"))
    lines += [Text(safe_text(notice.text, 1000), style="yellow") for notice in state.notices]
    if summary.damaged_lines:
        lines.append(Text(f"{summary.damaged_lines} lines of the log are damaged", style="yellow"))
    if prepared := state.prepared:
        sizes = (prepared.train_images, prepared.val_images, prepared.test_images)
        counts = "train {:,}, validation {:,}, test {:,}".format(*sizes)
        lines.append(Text(f"{safe_text(prepared.source, 200)}: {counts} images"))
        where = prepared.device_name if prepared.device == "cuda" else prepared.device
        lines.append(
            Text(
                f"{prepared.parameters:,} parameters on {where} ×{prepared.threads} in "
                f"{prepared.precision}, batch {state.setting('train.batch_size')}, "
                f"seed {state.setting('train.seed')}"
            )
        )
    if best := state.best:
        lines.append(
            Text(
                f"Best epoch {best.epoch} of {len(state.epochs)}: validation loss "
                f"{figure(best.val_loss)}, accuracy {percent(best.val_accuracy)}"
            )
        )
    if parts := state.part_shares:
        text = " · ".join(f"{part} {percent(share, 0)}" for part, share in parts.items())
        lines.append(Text(f"Time of the steps: {text}", style="dim"))
    if test := state.test:
        text = f"Test accuracy {percent(test.accuracy, 2)}, loss {figure(test.loss)}"
        lines.append(Text(text, style="bold"))
        if (augmented := tta_text(test)) is not None:
            lines.append(Text(f"Test accuracy {augmented}, loss {figure(test.tta_loss)}"))
    return Group(*lines)


def _class_grid(state: RunState, width: int) -> RenderableType | None:
    """Per-class accuracy on the test images, or before that on the last validation."""
    counts = state.test or (state.validated[-1] if state.validated else None)
    if counts is None or state.prepared is None:
        return None
    columns = max(1, width // 40)
    table = Table(box=None, pad_edge=False, show_header=False)
    cells = [
        Text.assemble(
            f"{safe_text(name, 14):<14} ",
            *zip(bar(ratio(correct, total), 10), ("bright_blue", "dim"), strict=True),
            f" {percent(ratio(correct, total)):>6}",
            (f" {correct}/{total}", "dim"),
        )
        for name, correct, total in zip(
            state.prepared.classes, counts.correct, counts.total, strict=True
        )
    ]
    for first in range(0, len(cells), columns):
        table.add_row(*cells[first : first + columns])
    which = "test" if state.test else f"validation, epoch {state.validated[-1].epoch}"
    return Group(Text(f"\nPer-class accuracy, {which}"), table)
