"""Figures and names as people read them."""

import json
import math
import shlex
import time
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from cnn_engine.runlog.events import (
    CommandApplied,
    EpochFinished,
    RolledBack,
    RunPrepared,
    RunResumed,
    TestFinished,
)
from cnn_engine.runs.directory import RunDirectory, default_runs_dir

SPARKS = "▁▂▃▄▅▆▇█"

STAGES = {
    "torch": "Loading PyTorch",
    "data": "Loading images",
    "model": "Building the model",
    "test": "Testing the best checkpoint",
}
"""What a stage of a run is called."""


def device_text(prepared: RunPrepared) -> str:
    """Return the device by name; of a processor also how many threads compute."""
    threads = f" ×{prepared.threads}" if prepared.device == "cpu" else ""
    return safe_text(f"{prepared.device_name}{threads}", 120)


def duration(seconds: float) -> str:
    """`0:08`, `2:41`, `1:02:03`; a dash for what is no finite time, as of a damaged log."""
    if not math.isfinite(seconds):
        return "–"
    minutes, second = divmod(round(max(0.0, seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def percent(share: float, digits: int = 1) -> str:
    """`74.6%`; a dash where there is nothing to have a share of."""
    return "–" if math.isnan(share) else f"{100 * share:.{digits}f}%"


def byte_size(count: int) -> str:
    """`184.3 MB`, in powers of 1000 as disks are sold."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def figure(value: float | None, digits: int = 4) -> str:
    """A loss or the like; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def val_figure(epoch: EpochFinished) -> str:
    """An epoch's validation loss; a dash where the validation images were not looked at."""
    return figure(epoch.val_loss if epoch.is_validated else None)


def tta_text(test: TestFinished) -> str | None:
    """`with test-time augmentation (mirror): 90.80%`; None without it."""
    if test.tta_accuracy is None:
        return None
    return f"with test-time augmentation ({safe_text(test.tta)}): {percent(test.tta_accuracy, 2)}"


def ratio(part: float, whole: float) -> float:
    """`part / whole`, and 0 for none of nothing."""
    return part / whole if whole else 0.0


def bytes_text(count: float) -> str:
    """`1.2 GB`, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def count_text(count: float) -> str:
    """`652k`, `21.8M`: a count in three figures."""
    for unit in ("", "k", "M", "G", "T"):
        if count < 999.5:
            return f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:,.3g}P"


COMMANDS = {
    "pause": "paused",
    "unpause": "going on",
    "stop": "stopping",
    "stop-epoch": "stopping after this epoch",
    "checkpoint": "checkpoint",
    "lr": "learning rate",
    "epochs": "epochs",
    "detach": "going to the background",
}
"""What it is called when a command was carried out."""


def command_text(command: CommandApplied) -> str:
    """`learning rate 0.0003 (key)`."""
    value = "" if command.value is None else f" {command.value:g}"
    what = COMMANDS.get(command.command, safe_text(command.command))
    return f"{what}{value} ({safe_text(command.by, 20)})"


def command_for(command: str, run: RunDirectory) -> str:
    """`cnn-tui resume 1124-0412-amber`: what to type to do that with the run.

    Args:
        command: A command's name, perhaps with an option that takes the run: `run --like`.
        run: Which run.
    """
    words = ["cnn-tui", *command.split(), run.id]
    if run.path.parent != default_runs_dir():
        words += ["--runs-dir", str(run.path.parent)]
    return safe_text(shlex.join(words), 1000)


def resumed_text(event: RunResumed) -> str:
    """`resumed in epoch 3 after step 120, from last.pt`."""
    if not event.seconds:  # by a process that was started for it, before it had begun elsewhere
        return "begun in the background"
    if not event.file:
        return "resumed from the beginning, as there was no checkpoint yet"
    return f"resumed {_place(event.epoch, event.step)}, from {safe_text(event.file)}"


def rolled_back_text(event: RolledBack) -> str:
    """`before epoch 3, learning rate 0.0005: training loss became nan …`."""
    where = _place(event.epoch, event.step)
    return f"{where}, learning rate {event.lr:g}: {safe_text(event.reason, 500)}"


def _place(epoch: int, step: int) -> str:
    return f"in epoch {epoch} after step {step}" if step else f"before epoch {epoch}"


def clock(moment: float) -> str:
    """Local time of day; a dash where it is no time, as in a damaged log."""
    return _moment(moment, "%H:%M:%S")


def date(moment: float) -> str:
    """Local date and time to the minute; a dash for no time at all."""
    return _moment(moment, "%Y-%m-%d %H:%M") if moment else "–"


def utc(moment: float) -> str:
    """Date and time to the second for a reader who may be anywhere; a dash for no time at all."""
    return _moment(moment, "%Y-%m-%d %H:%M:%S UTC", UTC) if moment else "–"


def age(then: float) -> str:
    """How long ago: `now`, `5m`, `3h`, `12d`, `2y`; a dash for no time at all."""
    seconds = time.time() - then
    if not then or not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return "now"
    for unit, size in (("y", 365 * 86400), ("d", 86400), ("h", 3600)):
        if seconds >= size:
            return f"{min(seconds // size, 99999):.0f}{unit}"
    return f"{seconds // 60:.0f}m"


def _moment(moment: float, form: str, zone: tzinfo | None = None) -> str:
    try:
        return datetime.fromtimestamp(moment, zone).strftime(form)
    except (ValueError, OverflowError, OSError):
        return "–"


def safe_text(text: str, limit: int = 80) -> str:
    """Text from outside, harmless on a terminal and of bearable length.

    Control, format and unassigned characters, lone surrogates among them, are shown as escapes.
    """
    if len(text) <= limit and text.isprintable():
        return text
    shown = "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char).startswith("C")
        else char
        for char in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def csv_cell(text: str, limit: int = 80) -> str:
    """Safe text as a cell of CSV, which no spreadsheet takes for a formula."""
    shown = safe_text(text, limit)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown


def to_json(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """Strict JSON for scripts, which has no NaN and no infinity: null stands for them."""
    return json.dumps(finite(value), indent=2, allow_nan=False)


def finite(value: Any) -> Any:  # noqa: ANN401
    """The value with None in the place of what is no number."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): finite(part) for key, part in value.items()}
        case list() | tuple():
            return [finite(part) for part in value]
    return value


def bar(share: float, width: int) -> tuple[str, str]:
    """A thin bar of `width` cells, in steps of half a cell: what is done, and what remains."""
    full, half = divmod(round(min(max(share, 0.0), 1.0) * width * 2), 2)
    done = "━" * full + "╸" * half
    return done, "─" * (width - len(done))


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values as blocks scaled between their extremes; a gap where not finite."""
    shown = values[-width:]
    finite = [value for value in shown if math.isfinite(value)]
    if not finite:
        return " " * len(shown)
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    return "".join(
        SPARKS[round((value - low) / span * 7)] if math.isfinite(value) else " " for value in shown
    )
