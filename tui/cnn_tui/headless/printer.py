"""A run as lines of text or JSON. The result lines have the wording of the published tutorial."""

import math
from typing import TextIO

from cnn_engine.results.metrics import metrics_of
from cnn_engine.runlog import events
from cnn_engine.runlog.best_metric import VAL_MACRO_F1, best_metric
from cnn_engine.runlog.events import Event
from cnn_engine.runlog.lines import to_line
from cnn_engine.runlog.state import RunState
from cnn_engine.system.stop_signals import EXIT_CODES
from cnn_tui.terminal.ascii import for_locale
from cnn_tui.terminal.progress_line import ProgressLine, progress_text
from cnn_tui.terminal.status import StreamStatus
from cnn_tui.text.events import (
    STAGES,
    alarm_text,
    device_text,
    resumed_text,
    rolled_back_text,
    time_limit_text,
    tta_text,
)
from cnn_tui.text.metrics import metric_lines
from cnn_tui.text.numbers import duration, out_of, percent
from cnn_tui.text.other_loops import speed_text
from cnn_tui.text.processes import restarted_text
from cnn_tui.text.run_status import end_text, has_just_ended, run_status
from cnn_tui.text.safe import safe_text
from cnn_tui.text.series import series_rows
from cnn_tui.text.width import pad, widest

SENDERS = {code: sender for sender, code in EXIT_CODES.items()}
"""Signal, or time limit, that stopped a run, by its exit code."""


class LinePrinter:
    """Prints results to `out`; stages, notices and a progress line to `err`."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out, self._err = for_locale(out), for_locale(err)
        self._progress = ProgressLine(err)
        self.status = StreamStatus(err)
        """Title and progress bar of the terminal."""

    def show(self, event: Event, state: RunState) -> None:
        """Print the event's lines, if it has any, and show the status of the run."""
        self._print(event, state)
        if isinstance(event, events.RunFinished):
            self.status.hide()
            if has_just_ended(event):
                self.status.notify(end_text(state))
        elif self.status.is_due:
            self.status.show(run_status(state))

    def _print(self, event: Event, state: RunState) -> None:  # noqa: C901, PLR0912 - flat
        match event:
            case events.RunStarted():
                preset = f" ({safe_text(event.preset)})" if event.preset else ""
                self._print_notice(f"Run {event.run_id}{preset}")
            case events.RunQueued():
                self._print_notice(safe_text(f"Queued for {event.device} on {event.host}"))
            case events.RunResumed():
                self._print_notice(resumed_text(event).capitalize())
            case events.RolledBack():
                self._print_notice(f"Rolled back {rolled_back_text(event)}")
            case events.ConfigReplaced():
                self._print_notice(safe_text(event.reason, 1000))
            case events.TimeLimitSet():
                self._print_notice(time_limit_text(event.end).capitalize())
            case events.StageStarted():
                self._print_notice(STAGES[event.stage])
            case events.Notice() | events.CommandRefused():
                self._print_notice(safe_text(event.text, 1000))
            case events.AlarmRaised():
                self._print_notice(f"Warning: {alarm_text(event)}")
            case events.ProcessesJoined():
                self._print_notice(restarted_text(event))
            case events.ProcessLost():
                self._print_notice(safe_text(f"A process was lost: {event.reason}", 1000))
            case events.StepsCaptured(reason=reason) if reason:
                self._print_notice(safe_text(state.notices[-1].text, 1000))
            case events.RunPrepared():
                self._print_notice(_prepared_line(event))
            case (
                events.StepsFinished()
                | events.ScalarsLogged()
                | events.ValidationProgressed()
                | events.StageProgressed()
            ):
                self._progress.write(progress_line(state))
            case events.RunFinished() if not state.is_own:
                for line in _series_lines(state):
                    self._print_result(line)
                error = f": {safe_text(event.error, 4000)}" if event.error else ""
                end = f"{event.status.capitalize()} after {duration(event.seconds)}"
                self._print_notice(f"{end}{error}")
            case events.RunFinished(status="stopped"):
                sender = SENDERS.get(event.exit_code, "")
                cause = f", {sender.replace('-', ' ')}" if sender else ""
                self._print_notice(f"Stopped after {duration(event.seconds)}{cause}")
            case events.RunFinished(status="detached"):
                text = "Paused" if state.paused else "Continues"
                self._print_notice(f"{text} in the background after {duration(event.seconds)}")
            case events.RunFinished(status="failed"):
                self._print_notice(f"Error: {safe_text(event.error, 4000)}")
            case _:
                for line in _result_lines(event, state):
                    self._print_result(line)

    def clear(self) -> None:
        """Clear the progress line."""
        self._progress.clear()

    def close(self) -> None:
        """Clear the progress line, and restore the title of the terminal."""
        self._progress.clear()
        self.status.hide()

    def _print_result(self, line: str) -> None:
        self._progress.clear()
        print(line, file=self._out, flush=True)

    def _print_notice(self, line: str) -> None:
        self._progress.clear()
        print(line, file=self._err, flush=True)


class JsonPrinter:
    """Prints each event as a line of JSON, as in the run's log."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, event: Event, state: RunState) -> None:  # noqa: ARG002 - a Printer
        """Print the event."""
        print(to_line(event), file=self._out, flush=True)

    def clear(self) -> None:
        """Do nothing: there is no progress line."""

    def close(self) -> None:
        """Do nothing: there is nothing to restore."""


def progress_line(state: RunState) -> str:
    """Return the progress of the run in one line."""
    if state.progress is not None:
        text = progress_text(state.progress.what, state.progress.done, state.progress.total)
        seconds = state.progress_seconds_left
        return text if seconds is None else f"{text}  left {duration(seconds)}"
    parts = [f"Epoch {out_of(state.epoch, state.total_epochs)}"] if state.epoch else []
    if state.phase == "validating" and state.prepared:
        parts.append(f"validation {state.validated_images:,}/{state.prepared.val_images:,}")
    elif state.steps_per_epoch:
        parts.append(f"batch {state.step}/{state.steps_per_epoch}")
    else:
        parts.append(f"step {state.steps_done:,}")
    if state.curve:
        parts.append(f"loss {state.curve[-1].loss:.4f}")
    if speed := speed_text(state):
        parts.append(speed)
    if state.seconds_left is not None:
        parts.append(f"left {duration(state.seconds_left)}")
    return "  ".join(parts)


def _prepared_line(event: events.RunPrepared) -> str:
    counts = f"{event.train_images:,} train, {event.val_images:,} validation, "
    counts += f"{event.test_images:,} test images in {len(event.classes)} classes"
    device = f"{device_text(event)}, {event.precision}"
    return f"{safe_text(event.source, 200)}: {counts}\n{event.parameters:,} parameters on {device}"


def _result_lines(event: Event, state: RunState) -> list[str]:
    """Return the tutorial's lines for an event, followed by our own; empty for most events."""
    match event:
        case events.EpochFinished():
            return [_epoch_line(event, state)]
        case events.CheckpointSaved(reason="best") if event.change is not None:
            return [_best_line(event, *event.change)]
        case events.TestFinished():
            return ["Finished Training", *final_test_lines(event, state)]
        case _:
            return []


def _series_lines(state: RunState) -> list[str]:
    rows = series_rows(state)
    width = widest(row.name for row in rows)
    return [
        f"{pad(row.name, width)}  {row.last:>9}  (lowest {row.lowest}, highest {row.highest})"
        for row in rows
    ]


def _best_line(event: events.CheckpointSaved, old: float, new: float) -> str:
    metric = best_metric(event.metric)
    name = metric.name.removeprefix("validation ")
    verb = "increased" if metric.is_higher_better else "decreased"
    if old == new and metric.is_higher_better:
        verb = "is as high as before"
    change = f"({old:.4f} --> {new:.4f})"
    return f"Validation {name} {verb} {change}. Saving model as {event.file}"


def _epoch_line(event: events.EpochFinished, state: RunState) -> str:
    seconds = event.train_seconds + event.val_seconds
    line = f"Epoch: {out_of(event.epoch, state.total_epochs)} | Time: {seconds:.3f}s"
    if event.known_train_loss is not None:
        line += f" | Training Loss: {event.train_loss:.4f}"
    if event.known_val_loss is not None:
        line += f" | Validation Loss: {event.val_loss:.4f}"
    if event.is_validated and not math.isnan(event.val_accuracy):
        line += f" | Validation Accuracy: {percent(event.val_accuracy, 2)}"
    if state.best_metric is VAL_MACRO_F1 and event.val_macro_f1 is not None:
        line += f" | Validation Macro F1: {event.val_macro_f1:.4f}"
    return line


def final_test_lines(event: events.TestFinished, state: RunState) -> list[str]:
    """Return the tutorial's lines for a test, followed by our own."""
    names = [safe_text(name, 40) for name in state.classes]
    width = widest(names)
    per_class = [
        f"Test Accuracy of {pad(name, width, 'right')}: "
        + (f"{percent(correct / total, 2):>7} ({correct}/{total})" if total else "no test image")
        for name, correct, total in zip(names, event.correct, event.total, strict=False)
    ]
    overall = f"({sum(event.correct)}/{sum(event.total)})"
    return [
        f"Test Loss: {event.loss:.6f}",
        *per_class,
        f"Test Accuracy (Overall): {percent(event.accuracy, 2)} {overall}",
        *([f"Test Accuracy {tta}"] if (tta := tta_text(event)) else []),
        *metric_lines(metrics_of(event, state.prepared), state.classes),
    ]
