"""A run's summary, as `cnn-tui show` and a closed dashboard print it."""

from math import isfinite

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cnn_engine.errors import UserError
from cnn_engine.results.out_of_fold import (
    accuracy_of,
    fold_of,
    out_of_fold_predictions,
    runs_of_folds,
)
from cnn_engine.runlog.events import RunPrepared
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_in, how_to_resume
from cnn_engine.runs.queue_places import queue_place
from cnn_engine.runs.summary import LIVE, RunSummary, read_state, read_summary
from cnn_tui.reports.console import make_console
from cnn_tui.reports.final_test import class_table, final_test_report
from cnn_tui.reports.fitting_table import FittingTable
from cnn_tui.text.best import best_values
from cnn_tui.text.events import device_text, loop_text, tta_text
from cnn_tui.text.metrics import out_of_images_text
from cnn_tui.text.numbers import decimal, duration, percent
from cnn_tui.text.processes import processes_line
from cnn_tui.text.provenance import command_line, environment_values
from cnn_tui.text.queue import waiting_text
from cnn_tui.text.safe import escaped, safe_text
from cnn_tui.text.series import SERIES_HEADINGS, first_series, series_rows
from cnn_tui.text.shell import command_for

CHART_HEIGHT = 14

MAX_CHART_WIDTH, MAX_CHARTS_WIDTH = 100, 160
"""Columns of one chart alone, and of both side by side."""

MIN_BESIDE_WIDTH = 96
"""Columns from which the accuracy is drawn beside the loss."""

GAP = 3

LEGEND = "[bright_blue]train[/], [orange1]validation[/]"
STATUS_STYLES = {
    "done": "green",
    "failed": "bold red",
    "interrupted": "yellow",
    "stopped": "yellow",
}


def show_run(run: RunDirectory, *, brief: bool = False) -> None:
    """Print metrics, loss curve, classes, test results, path and next commands.

    Args:
        run: The run.
        brief: Leave out the calibration and the confused pairs.
    """
    console = make_console()
    state, _ = read_state(run)
    summary = read_summary(run)
    console.print(_heading(summary))
    console.print(_facts(state, summary))
    if out_of_fold := _out_of_fold(state, run):
        console.print(Text(out_of_fold))
    _print_charts(console, state)
    by_class = _class_metrics(state)
    if by_class:
        console.print(by_class)
    if state.test and not brief:
        console.print(final_test_report(state.test, state.prepared))
    if state.series:
        console.print(_series_table(state, run))
    path = escaped(str(run.path.absolute()), 500)
    console.print(Text.assemble(("\nSaved in ", "dim"), path))
    is_queued = summary.status == "queued"
    next_commands = (_queued_commands if is_queued else _next_commands)(state, summary, run)
    for label, command in next_commands + _series_command(state, run):
        console.print(Text.assemble((f"{label:<9}", "dim"), command))


def _print_charts(console: Console, state: RunState) -> None:
    """Print the loss chart, if there is a loss to draw, and the accuracy beside it or below."""
    from cnn_tui.charts.loss import axis_name  # noqa: PLC0415 - not for other parts of the report
    from cnn_tui.charts.report import (  # noqa: PLC0415 - plotext loads slowly
        ChartColors,
        accuracy_chart,
        highest_drawn,
        loss_chart,
    )

    width = min(console.width, MAX_CHARTS_WIDTH)
    is_beside = bool(state.validated_epochs) and width >= MIN_BESIDE_WIDTH
    width = (width - GAP) // 2 if is_beside else min(width, MAX_CHART_WIDTH)
    unit, charts = axis_name(state), []
    if chart := loss_chart(state, width, CHART_HEIGHT, ChartColors()):
        title = f"Loss by {unit}: {LEGEND}"
        highest, limit = (
            max(filter(isfinite, state.curve.losses), default=0.0),
            highest_drawn(state),
        )
        if highest > limit:
            title += f"[dim]; up to {highest:.3g}, drawn at {limit:.3g}[/]"
        charts.append((Text.from_markup(title), Text.from_ansi(chart)))
    if is_beside and (chart := accuracy_chart(state, width, CHART_HEIGHT, ChartColors())):
        title = f"Accuracy in % by {unit}: {LEGEND}"
        charts.append((Text.from_markup(title), Text.from_ansi(chart)))
    if not charts:
        return
    table = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    for _ in charts:
        table.add_column(width=width, no_wrap=True)
    console.print()
    for row in zip(*charts, strict=True):
        table.add_row(*row)
    console.print(table)


def _next_commands(
    state: RunState, summary: RunSummary, run: RunDirectory
) -> list[tuple[str, str]]:
    """Return labels and commands to run next."""
    watch, resume = command_for("watch", run), command_for("resume", run)
    if summary.status in LIVE and state.imported is None:
        background = " in the background" if state.is_own else ""
        if state.paused:
            return [
                (f"Paused{background}. Continue: ", command_for("unpause", run)),
                ("Watch:", watch),
            ]
        return [(f"Training continues{background}. Watch it: ", watch)]
    if not state.is_own:
        resumable = state.loop and summary.status in ("stopped", "interrupted", "failed")
        hint = how_to_resume(state, run)
        return [("Open:", watch), *([("Resume:", escaped(hint, 500))] if resumable else [])]
    if summary.status in ("stopped", "interrupted") and state.checkpoints:
        return [("Open:", watch), ("Resume:", resume)]
    if state.test is None:
        return [("Open:", watch)]
    return [
        ("Open:", watch),
        ("Predict:", command_for("predict", run, "IMAGE")),
        ("Export:", command_for("export", run, "--to", "onnx")),
    ]


def _queued_commands(_: RunState, summary: RunSummary, run: RunDirectory) -> list[tuple[str, str]]:
    """Return the place of a run in the queue, and labels and commands to run next."""
    place = queue_place(run, summary.host)
    text = waiting_text(place, run) if place else f"Queued on {safe_text(summary.host)}"
    start = command_for("queue start", run)
    return [(f"{text}. Start it now: ", start), ("Watch:", command_for("watch", run))]


def _out_of_fold(state: RunState, run: RunDirectory) -> str:
    """Return the accuracy over the images of all folds; empty until all runs are done."""
    if fold_of(state) is None:
        return ""
    try:
        rate = accuracy_of(out_of_fold_predictions(runs_of_folds(run)))
    except UserError:
        return ""
    return f"Out of fold, over all folds: {out_of_images_text(rate)}"


def _series_command(state: RunState, run: RunDirectory) -> list[tuple[str, str]]:
    """Return the label and the command that lists the runs of the same series, if it has one."""
    group = state.started.group if state.started else ""
    if not group:
        return []
    words = command_in(run.path.parent, "runs", "--filter", f"group={group}")
    return [("Series:", escaped(words, 4000))]


def _heading(summary: RunSummary) -> Text:
    names = [summary.preset, summary.name, summary.run_id]
    heading = Text(" · ".join(safe_text(name) for name in names if name), style="bold")
    heading.append(f"   {summary.status}", style=STATUS_STYLES.get(summary.status, "cyan"))
    heading.append(f" after {duration(summary.seconds)}", style="dim")
    return heading


def _facts(state: RunState, summary: RunSummary) -> RenderableType:
    lines = []
    if summary.error:
        lines.append(Text(safe_text(summary.error, 2000), style="bold red"))
    styles = {"info": "dim", "warning": "yellow"}
    lines += [
        Text(safe_text(notice.text, 1000), style=styles[notice.severity])
        for notice in state.notices
    ]
    if summary.damaged_lines:
        lines.append(
            Text(f"{summary.damaged_lines} damaged log lines were skipped", style="yellow")
        )
    if state.loop:
        lines.append(Text(loop_text(state.loop)))
    if state.prepared:
        lines += map(Text, _preparation(state, state.prepared))
    lines += [Text(line, style="dim") for line in _provenance(state)]
    if best := _best(state, summary):
        lines.append(Text(best))
    if parts := state.part_fractions:
        text = " · ".join(f"{part} {percent(fraction, 0)}" for part, fraction in parts.items())
        lines.append(Text(f"Step time: {text}", style="dim"))
    if processes := processes_line(state):
        lines.append(Text(processes, style="dim"))
    if test := state.test:
        text = f"Test accuracy {percent(test.accuracy, 2)}, loss {decimal(test.loss)}"
        lines.append(Text(text, style="bold"))
        if (augmented := tta_text(test)) is not None:
            lines.append(Text(f"Test accuracy {augmented}, loss {decimal(test.tta_loss)}"))
    return Group(*lines)


def _best(state: RunState, summary: RunSummary) -> str:
    """Return the best epoch with what is known of it; empty before there is one."""
    if best := state.best:
        values = ", ".join(best_values(best, state.best_metric))
        return f"Best epoch {best.epoch} of {len(state.epochs)}: {values}"
    if summary.best_epoch is None:
        return ""
    accuracy = percent(summary.best_val_accuracy or 0.0)
    epoch = f"{summary.best_epoch} of {len(state.epochs)}"
    return f"Best epoch {epoch}: validation accuracy {accuracy}"


def _preparation(state: RunState, prepared: RunPrepared) -> tuple[str, str]:
    """Return the images of the run, and its network and device."""
    sizes = (prepared.train_images, prepared.val_images, prepared.test_images)
    counts = "train {:,}, validation {:,}, test {:,}".format(*sizes)
    graph = ", captured as a CUDA graph" if state.is_captured else ""
    network = (
        f"{prepared.parameters:,} parameters on {device_text(prepared)} in "
        f"{prepared.precision}{graph}, batch {state.setting('train.batch_size')}, "
        f"seed {state.setting('train.seed')}"
    )
    return f"{safe_text(prepared.source, 200)}: {counts} images", safe_text(network, 500)


def _provenance(state: RunState) -> list[str]:
    """Return the command that started the run, its directory, its environment, and its fold."""
    lines = []
    if command := command_line(state):
        lines.append(f"{command.command}  in {command.directory}")
    if known := environment_values(state):
        names = ("cnn-tui", "PyTorch", "Python", "revision", "images", "marks", "processor")
        lines.append(" · ".join(f"{name} {known[name]}" for name in names if name in known))
    if fold := fold_of(state):
        lines.append(f"validated on fold {fold[0]} of {fold[1]}")
    return lines


def _series_table(state: RunState, run: RunDirectory) -> RenderableType:
    """Return the values of the first series, and the command that writes all of them."""
    names = first_series(state.series)
    rows = [list(row) for row in series_rows(state, names)]
    parts: list[RenderableType] = [
        Text("\nSeries"),
        FittingTable(SERIES_HEADINGS, rows, (), left=(0,)),
    ]
    if more := len(state.series) - len(names):
        command = command_for("export", run, "--to", "csv-series")
        parts.append(Text(f"… and {more:,} more: {command}", "dim"))
    return Group(*parts)


def _class_metrics(state: RunState) -> RenderableType | None:
    """Return the metrics per class of the test, or of the last validation before it."""
    counts = state.latest_counts
    if counts is None or not counts.total or not state.classes:
        return None
    split = "test" if state.test else f"validation, epoch {counts.epoch}"
    return Group(Text(f"\nBy class, {split}"), class_table(counts, state.classes))
