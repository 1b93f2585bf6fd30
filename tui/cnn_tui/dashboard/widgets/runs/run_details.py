"""Details of a run: results, origin, config differences to the next run; or of a series."""

from typing import NamedTuple

from textual.content import Content

from cnn_engine.runlog.best_metric import VAL_LOSS, best_metric
from cnn_engine.runs.groups import RunGroup
from cnn_engine.runs.summary import RunSummary
from cnn_tui.charts.curves import curve_text
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.dashboard.widgets.run_header import BADGES
from cnn_tui.dashboard.widgets.runs.rows import GROUP_BADGES
from cnn_tui.text.columns import series_text, setting_text
from cnn_tui.text.numbers import date, decimal, duration, out_of, percent
from cnn_tui.text.queue import status_text
from cnn_tui.text.safe import safe_text
from cnn_tui.text.spreads import spread_text
from cnn_tui.text.width import cut, wrap

LABEL_WIDTH = 9

MAX_SERIES = 12
"""Series listed."""


class DetailedRun(NamedTuple):
    """A run, and the run that its config is compared with; or a series."""

    run: RunSummary | None
    baseline: RunSummary | None
    group: RunGroup | None = None


class RunDetails(Panel[DetailedRun]):
    """Details of the run under the cursor."""

    DEFAULT_CSS = """
    RunDetails {
        height: 1fr;
    }
    """

    def show(self, runs: DetailedRun) -> None:
        """Show a run, unless it is shown already."""
        if runs != self._data:
            super().show(runs)

    def draw(self, runs: DetailedRun, width: int, height: int) -> list[Content]:
        """Return as many lines as fit."""
        run, baseline, group = runs
        if group is not None:
            return _group_lines(group, width)[:height]
        if run is None:
            return []
        glyph, style = BADGES[run.status]
        star = "★ " if run.star else ""
        epochs = out_of(run.epochs_done, run.epochs, " of ")
        lines = [
            Content.styled(f"{star}{safe_text(run.name or run.run_id, width)}", "bold"),
            Content.assemble(
                (f"{glyph} {status_text(run)}", style),
                (f"  {epochs} epochs, {duration(run.seconds)}", "$muted"),
            ),
            *_paragraph(run.error, "$text-error", width),
            Content(""),
            *_metrics(run),
            *_curve(run, width),
            Content(""),
            *_facts(run),
            *_series(run),
            *_paragraph(run.note, "italic", width),
        ]
        if baseline is not None:
            lines += [Content(""), *_differences(run, baseline)]
        return lines[:height]


def _group_lines(group: RunGroup, width: int) -> list[Content]:
    """Return the status of a series, mean and deviation of each setting, and its origin."""
    glyph, style = GROUP_BADGES[group.status]
    summary = group.summary
    lines = [
        Content.styled(safe_text(group.name or group.id, width), "bold"),
        Content.assemble(
            (f"{glyph} {group.status}", style),
            (f"  {group.done} of {group.planned} runs, {duration(summary.seconds)}", "$muted"),
        ),
    ]
    if group.live is not None:
        number = group.runs.index(group.live) + 1
        epochs = out_of(group.live.epochs_done, group.live.epochs, " of ")
        lines.append(Content.styled(f"run {number} of {group.planned}: {epochs} epochs", "$muted"))
    for setting in group.settings:
        heading = setting.text or group.swept
        lines += [Content(""), *_paragraph(heading, "$secondary", width)]
        lines += [
            _line(label, (f"{spread_text(spread, 2)} %", "bold"), (f"   n {spread.runs}", "$muted"))
            for label, metric in (("val", "best_val_accuracy"), ("test", "test_accuracy"))
            if (spread := setting.spread(metric)) is not None
        ]
    lines += [
        Content(""),
        _line("series", safe_text(group.id, 200)),
        _line("config", safe_text(summary.preset, 200)),
        *_paragraph(f"differs by {group.swept}" if group.swept else "", "$muted", width),
        _line("started", date(min(run.started for run in group.runs))),
    ]
    errors = dict.fromkeys(run.error for run in group.runs if run.error)
    for error in errors:
        lines += _paragraph(error, "$text-error", width)
    return lines


def _line(label: str, *parts: str | tuple[str, str]) -> Content:
    return Content.assemble((f"{label:<{LABEL_WIDTH}}", "$muted"), *parts)


def _paragraph(text: str, style: str, width: int, max_lines: int = 4) -> list[Content]:
    lines = wrap(safe_text(text, 500), width)
    if len(lines) > max_lines:
        lines = [*lines[: max_lines - 1], f"{cut(lines[max_lines - 1], width - 2)} …"]
    return [Content.styled(line, style) for line in lines]


def _metrics(run: RunSummary) -> list[Content]:
    lines = []
    if run.test_accuracy is not None:
        test = (f"{percent(run.test_accuracy, 2)}", "bold")
        lines.append(_line("test", test, f"   loss {decimal(run.test_loss)}"))
    if run.best_val_accuracy is not None:
        best = (percent(run.best_val_accuracy, 2), "bold")
        loss = "" if run.best_val_loss is None else f"   loss {decimal(run.best_val_loss)}"
        lines.append(_line("val", best, loss))
        metric = best_metric(run.best_metric)
        by = "" if metric is VAL_LOSS else f"   by {metric.name}"
        lines.append(_line("best", f"epoch {run.best_epoch}", by))
    if lines or (run.series and not run.is_own):
        return lines
    return [Content.styled("no finished epoch", "$muted")]


def _curve(run: RunSummary, width: int) -> list[Content]:
    curve = curve_text(run, width - LABEL_WIDTH)
    return [_line("val loss", (curve, "$secondary"))] if curve else []


def _facts(run: RunSummary) -> list[Content]:
    device = " · ".join(filter(None, [run.device, run.precision, run.host]))
    facts = {
        "run": run.run_id,
        "config": run.preset,
        "started": date(run.started),
        "device": device,
        "data": run.source,
        "loop": run.framework,
        "model": f"{run.parameters:,} parameters" if run.parameters else "",
        "tags": " ".join(run.tags),
        "damaged": f"{run.damaged_lines:,} lines of the log" if run.damaged_lines else "",
    }
    return [_line(label, safe_text(fact, 200)) for label, fact in facts.items() if fact]


def _series(run: RunSummary) -> list[Content]:
    """Return the last values of the series of another loop, which are all that is known of it."""
    if run.is_own or not run.series:
        return []
    names = list(run.series)[:MAX_SERIES]
    more = len(run.series) - len(names)
    lines = [Content(""), Content.styled("last values", "$muted")]
    lines += [
        Content.assemble(
            (f"  {safe_text(name, 40)}  ", "$muted"), series_text(run.series[name].last)
        )
        for name in names
    ]
    return lines + ([Content.styled(f"  and {more:,} more", "$muted")] if more else [])


def _differences(run: RunSummary, baseline: RunSummary) -> list[Content]:
    """Return the config keys that differ, with the value of the baseline and of the run."""
    changed = []
    for table in dict.fromkeys([*run.config, *baseline.config]):
        values, baselines = run.config.get(table, {}), baseline.config.get(table, {})
        for key in dict.fromkeys([*values, *baselines]):
            if values.get(key) != baselines.get(key):
                changed.append(
                    Content.assemble(
                        (safe_text(f"  {table}.{key}  ", 60), "$muted"),
                        f"{setting_text(baselines.get(key))} → ",
                        (setting_text(values.get(key)), "bold"),
                    )
                )
    name = safe_text(baseline.run_id, 40)
    if not changed:
        return [Content.styled(f"same config as {name}", "$muted")]
    return [Content.styled(f"config differences to {name}", "$muted"), *changed]
