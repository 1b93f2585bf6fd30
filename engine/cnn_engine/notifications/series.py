"""The message for the end of a series of runs: one for all, instead of one for each."""

from collections.abc import Sequence

from cnn_engine.notifications.message import Message, make_message, on_host, place
from cnn_engine.notifications.notifier import Notifier
from cnn_engine.notifications.targets import EventName
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.groups import Spread
from cnn_engine.runs.hints import command_in
from cnn_engine.runs.summary import RunSummary
from cnn_engine.texts import duration, percent

MAX_RUNS = 12
"""Runs of which the message has a line: the last ones."""


def notify_series(
    first: RunDirectory,
    summaries: Sequence[RunSummary],
    planned: int,
    *,
    exit_code: int,
    is_stopped: bool,
) -> str:
    """Send the message for the end of a series to the receivers of its first run.

    Args:
        first: The first run, whose id is that of the series.
        summaries: The runs that have ended.
        planned: Number of runs that were to be trained.
        exit_code: Exit code of the process.
        is_stopped: True if the user has stopped the series.

    Returns:
        As `Notifier.end`.
    """
    event: EventName = "stopped" if is_stopped else "failed" if exit_code else "done"
    return Notifier(first).end_with(
        event, lambda: _message(first, summaries, planned, event, exit_code)
    )


def _message(
    first: RunDirectory,
    summaries: Sequence[RunSummary],
    planned: int,
    event: EventName,
    exit_code: int,
) -> Message:
    done = sum(summary.status == "done" for summary in summaries)
    accuracy = Spread.from_values(summary.test_accuracy for summary in summaries)
    preset = summaries[0].preset if summaries else ""
    counted = f"{done} of {planned} runs done"
    seconds = sum(summary.seconds for summary in summaries)
    lines = [f"Series {first.id} ({preset}): {counted} after {duration(seconds)}{on_host()}."]
    if accuracy is not None:
        deviation = "" if accuracy.deviation is None else f" ± {100 * accuracy.deviation:.2f}"
        lines.append(f"Mean test accuracy {percent(accuracy.mean, 2)}{deviation}")
    lines += [_run_line(summary) for summary in summaries[-MAX_RUNS:]]
    group = f"group:{first.id}"
    resume = command_in(first.path.parent, "resume", group) if done < planned else ""
    if resume:
        lines.append(f"Resume it{place()}: {resume}")
    show = command_in(first.path.parent, "show", group)
    lines.append(f"Show it{place()}: {show}")
    values = {
        "run": first.id,
        "group": first.id,
        "preset": preset,
        "directory": str(first.path.absolute()),
        "exit_code": exit_code,
        "seconds": seconds,
        "runs": len(summaries),
        "runs_done": done,
        "runs_planned": planned,
        "test_accuracy": accuracy and accuracy.mean,
        "test_accuracy_deviation": accuracy and accuracy.deviation,
        "error": next((summary.error for summary in summaries if summary.error), ""),
        "show": show,
        "resume": resume,
    }
    return make_message(event, f"Series {preset}: {event}, {counted}", lines, values)


def _run_line(summary: RunSummary) -> str:
    result: str = summary.status
    if summary.test_accuracy is not None:
        result = f"test accuracy {percent(summary.test_accuracy, 2)}"
    error = f": {summary.error[:200]}" if summary.error else ""
    return f"{summary.name or summary.run_id}: {result}{error}"
