"""Messages about a run: figures, error, and how to continue, as text and as fields."""

import math
import socket
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnn_engine.notifications.targets import EventName
from cnn_engine.results.metrics import Interval, Rate
from cnn_engine.runlog.best_metric import VAL_ACCURACY, VAL_LOSS, VAL_MACRO_F1
from cnn_engine.runlog.events import AlarmRaised, RunFinished
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for, how_to_resume
from cnn_engine.runs.marks import read_marks
from cnn_engine.runs.summary import RunSummary, summarize
from cnn_engine.texts import duration, percent

MAX_LINE, MAX_TITLE, MAX_TEXT = 1000, 200, 3000
"""Characters of an error, a title and a text: an ntfy message may have 4096 bytes."""

MAX_SERIES = 4
"""Series of another training loop that are listed."""

VERBS = {"done": "is done", "failed": "failed", "stopped": "was stopped"}


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message about a run."""

    event: EventName
    title: str
    """One line, such as `baseline: done, test accuracy 97.21%`."""

    text: str
    """A few lines."""

    fields: dict[str, Any]
    """Values by name, for programs; strings are one line without control characters."""


def end_message(state: RunState, run: RunDirectory, end: RunFinished) -> Message:
    """Return the message for the end of a run that no process continues.

    Args:
        state: The run's state.
        run: The run.
        end: Its last event, which the log may lack.
    """
    event: EventName = "stopped" if end.status == "detached" else end.status
    summary = _summary(state, run)
    is_done = event == "done"
    where = f" in epoch {epoch}" if (epoch := _epoch(state)) and not is_done else ""
    lines = [f"{_names(summary)} {VERBS[event]}{where} after {duration(end.seconds)}{on_host()}."]
    if end.error:
        lines.append(f"Error: {end.error[:MAX_LINE]}")
    lines += _figures(state, summary)
    if not is_done and (state.checkpoints or state.loop):
        how = how_to_resume(state, run).replace("it with:", f"it{place()}:", 1)
        lines.append(f"{how[:1].upper()}{how[1:]}")
    lines.append(f"Show it{place()}: {command_for('show', run)}")
    result = where
    if summary.test_accuracy is not None:
        result = f", test accuracy {percent(summary.test_accuracy, 2)}"
    values = {
        "exit_code": end.exit_code,
        "seconds": end.seconds,
        "error": end.error[:MAX_LINE],
        "resume": "" if is_done else how_to_resume(state, run).removeprefix("resume it with: "),
    }
    title = f"{_label(summary)}: {event}{result}"
    return make_message(event, title, lines, _values(state, summary, run) | values)


def alarm_message(state: RunState, run: RunDirectory, alarm: AlarmRaised) -> Message:
    """Return the message for an alarm of a running run."""
    summary = _summary(state, run)
    where = f" in epoch {epoch}" if (epoch := _epoch(state)) else ""
    lines = [
        f"{_names(summary)}{where}{on_host()}: {alarm.text}.",
        f"{alarm.advice}.",
        *_figures(state, summary),
        f"Watch it{place()}: {command_for('watch', run)}",
    ]
    values = {"alarm": alarm.alarm, "severity": alarm.severity, "seconds": summary.seconds}
    title = f"{_label(summary)}: {alarm.text}"
    return make_message("alarm", title, lines, _values(state, summary, run) | values)


def plain(text: str) -> str:
    """Return a text in one line, without characters that a receiver may refuse or obey."""
    words = " ".join(text.split())
    kept = "".join(char for char in words if unicodedata.category(char) not in ("Cc", "Cf"))
    return kept.encode("utf-8", "backslashreplace").decode()


def make_message(event: EventName, title: str, lines: list[str], values: dict[str, Any]) -> Message:
    """Return a message.

    Args:
        event: The event.
        title: Its title.
        lines: Lines of its text.
        values: Its other fields.
    """
    title, text = plain(title)[:MAX_TITLE], "\n".join(map(plain, lines))[:MAX_TEXT]
    cleaned = {key: _json_value(value) for key, value in values.items()}
    fields = {
        "format": 1,
        "event": event,
        "title": title,
        "text": text,
        "host": socket.gethostname(),
        **cleaned,
    }
    return Message(event=event, title=title, text=text, fields=fields)


def _values(state: RunState, summary: RunSummary, run: RunDirectory) -> dict[str, Any]:
    """Return the fields that each message has."""
    return {
        "run": run.id,
        "name": summary.name,
        "preset": summary.preset,
        "group": summary.group,
        "directory": str(run.path.absolute()),
        "epochs": summary.epochs,
        "epochs_done": summary.epochs_done,
        "best_epoch": summary.best_epoch,
        "best_metric": summary.best_metric,
        "val_loss": summary.best_val_loss,
        "val_accuracy": summary.best_val_accuracy,
        "test_loss": summary.test_loss,
        "test_accuracy": summary.test_accuracy,
        "test_accuracy_interval": _interval(state),
        "show": command_for("show", run),
    }


def _json_value(value: Any) -> Any:  # noqa: ANN401 - a value of JSON
    """Return a value that JSON and receivers can take; None for NaN and infinity."""
    if isinstance(value, str):
        return plain(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _summary(state: RunState, run: RunDirectory) -> RunSummary:
    return summarize(state, run).with_marks(read_marks(run))


def _label(summary: RunSummary) -> str:
    return summary.name or summary.run_id


def _names(summary: RunSummary) -> str:
    """Return `baseline (cifar10, 1124-0412-amber)`."""
    others = [summary.preset, summary.run_id if summary.name else ""]
    known = ", ".join(filter(None, others))
    return f"{_label(summary)} ({known})" if known else _label(summary)


def _epoch(state: RunState) -> str:
    """Return `3/20`; empty before the first epoch."""
    total = f"/{state.total_epochs}" if state.total_epochs else ""
    return f"{state.epoch}{total}" if state.epoch else ""


def on_host() -> str:
    """Return ` on gpu-box`."""
    host = socket.gethostname()
    return f" on {host}" if host else ""


def place() -> str:
    """Return ` in /home/me/project`, where the suggested commands work."""
    try:
        return f" in {Path.cwd()}"
    except OSError:  # it was removed
        return ""


def _interval(state: RunState) -> Interval | None:
    """Return the 95 % interval of the test accuracy; None without a test."""
    test = state.test
    return Rate(sum(test.correct), sum(test.total)).interval if test else None


def _figures(state: RunState, summary: RunSummary) -> list[str]:
    """Return lines with the test accuracy, the best validation, or values of another loop."""
    lines = []
    if summary.test_accuracy is not None:
        between = ""
        if (interval := _interval(state)) is not None:
            between = f" (95% interval {percent(interval.low)} to {percent(interval.high)})"
        lines.append(f"Test accuracy {percent(summary.test_accuracy, 2)}{between}")
    values = {
        VAL_LOSS: _decimal(summary.best_val_loss),
        VAL_ACCURACY: _percent(summary.best_val_accuracy),
        VAL_MACRO_F1: _decimal(summary.best_val_macro_f1),
    }
    chosen = state.best_metric
    shown = dict.fromkeys([chosen, VAL_LOSS, VAL_ACCURACY])
    known = [f"{metric.name} {values[metric]}" for metric in shown if values[metric]]
    if known:
        lines.append(f"Best epoch {summary.best_epoch}: {', '.join(known)}")
    elif not state.is_own:
        last = [(name, of.last) for name, of in summary.series.items() if of.last is not None]
        if last:
            lines.append(", ".join(f"{name} {value:.4g}" for name, value in last[:MAX_SERIES]))
    return lines


def _decimal(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return "" if value is None else percent(value, 2)
