"""The progress line: stage or epoch, a bar, speed and time left."""

import time

from textual.content import Content

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel, colored_bar
from cnn_tui.text.best import value_text
from cnn_tui.text.events import STAGES, time_limit_text
from cnn_tui.text.numbers import decimal, duration, percent
from cnn_tui.text.other_loops import speed_text
from cnn_tui.text.safe import safe_text

MIN_BAR = 12


class RunProgress(Panel[RunState]):
    """One line: stage or epoch, a bar, speed and times; the result of a finished run."""

    DEFAULT_CSS = """
    RunProgress {
        height: 1;
        margin: 1 0 0 0;
        border: none;
    }
    """

    is_dead = False
    """True if the run has not ended, but no process trains it; to be set before `show`."""

    waiting = ""
    """Text about its place in the queue, if it waits there; to be set before `show`."""

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Return one line."""
        if state.has_ended or self.is_dead:
            return [_result(state, state.status if state.has_ended else "interrupted")]
        if self.waiting:
            return [Content.styled(self.waiting, "bold")]
        if state.phase in ("queued", "starting", "testing"):
            return [_stage_line(state, width)]
        if state.imported:
            return [_imported_line(state)]
        if not (state.total_epochs or state.steps_per_epoch):
            return [_count_line(state)]
        return [_epoch_line(state, width)]


def _imported_line(state: RunState) -> Content:
    """Return the progress of an imported run, whose number of epochs is unknown."""
    source = safe_text(state.imported.source, 200) if state.imported else ""
    return Content.assemble(
        (f"Step {state.steps_done:,}", "bold"),
        (f"  {len(state.epochs):,} validations  ", ""),
        (f"imported from {source}", "$muted"),
    )


def _count_line(state: RunState) -> Content:
    """Return the progress of a loop of unknown length."""
    epoch = f"Epoch {state.epoch:,}  " if state.epoch else ""
    return Content.assemble(
        (f"{epoch}Step {state.steps_done:,}", "bold"),
        (f"  after {duration(state.elapsed_seconds)}  {speed_text(state)}", "$muted"),
    )


def _epoch_line(state: RunState, width: int) -> Content:
    epochs = str(state.total_epochs)
    head = f"Epoch {state.epoch:>{len(epochs)}}/{epochs}"
    if not state.total_epochs:  # the bar is that of the epoch
        head = f"Epoch {state.epoch}"
    if state.phase == "validating" and state.prepared:
        done, total, unit = state.validated_images, state.prepared.val_images, "validating"
    else:
        done, total, unit = state.step, state.steps_per_epoch, "batch"
    # The most important part comes first: parts are dropped from the end.
    parts = [f"{unit} {done:>{len(f'{total:,}')},}/{total:,}"]
    if not total:  # the bar is that of the run
        parts = [f"step {state.steps_done:,}"]
        done, total = len(state.epochs), state.total_epochs
    if state.seconds_left is not None:
        parts.append(f"left {duration(state.seconds_left)}")
    if speed := speed_text(state):
        parts.append(speed)
    if (epoch_time := _epoch_time(state)) is not None:
        parts.append(epoch_time)
    if state.end_time is not None:
        parts.append(time_limit_text(state.end_time))
    while len(parts) > 1 and len("  ".join([head, *parts])) + MIN_BAR > width:
        parts.pop()
    bar = colored_bar(done / total if total else 0.0, width - len("  ".join([head, "", *parts])))
    return Content.assemble(
        (head, "bold"),
        "  ",
        bar,
        "  ",
        parts[0],
        *((f"  {part}", "$muted") for part in parts[1:]),
    )


def _epoch_time(state: RunState) -> str | None:
    """Return `0:08 of ~0:12` for the current epoch; None before the speed is known."""
    seconds_left, expected = state.epoch_seconds_left, state.epoch_seconds
    if seconds_left is None or expected is None:
        return None
    return f"{duration(max(0.0, expected - seconds_left))} of ~{duration(expected)}"


def _stage_line(state: RunState, width: int) -> Content:
    stage = state.stages[-1] if state.stages else None
    name = STAGES[stage.stage] if stage else "Starting"
    seconds = f"  {max(0.0, time.time() - stage.time):.1f} s" if stage and not state.paused else ""
    progress = state.progress
    if progress is None or not progress.total:
        return Content.assemble((name, "bold"), (seconds, "$muted"))
    count = f"{progress.what}  {progress.done:,}/{progress.total:,}{_left(state)}"
    room = max(MIN_BAR, width - len(name) - len(count) - len(seconds) - 4)
    bar = colored_bar(progress.done / progress.total, room)
    return Content.assemble((name, "bold"), "  ", bar, f"  {count}", (seconds, "$muted"))


def _left(state: RunState) -> str:
    seconds = state.progress_seconds_left
    return "" if seconds is None else f"  left {duration(seconds)}"


def _result(state: RunState, status: str) -> Content:
    parts = [(f"{status.capitalize()} after {duration(state.elapsed_seconds)}", "bold")]
    if state.test:
        parts.append((f"   test accuracy {percent(state.test.accuracy, 2)}", "bold $text-success"))
        if state.test.tta_accuracy is not None:
            with_tta = percent(state.test.tta_accuracy, 2)
            parts.append((f"   {with_tta} with {safe_text(state.test.tta)} TTA", ""))
        parts.append((f"   test loss {decimal(state.test.loss)}", ""))
    if best := state.best:
        parts.append((f"   best epoch {best.epoch} of {len(state.epochs)}", "$muted"))
        metric = state.best_metric
        value = value_text(metric, metric.value_of(best))
        parts.append((f"   {metric.short} {value}", "$muted"))
    elif state.epochs and not state.is_own:
        parts.append((f"   {len(state.epochs):,} epochs", "$muted"))
    elif state.steps_done and not state.is_own:
        parts.append((f"   {state.steps_done:,} steps", "$muted"))
    return Content.assemble(*parts)
