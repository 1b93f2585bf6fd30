"""Texts about the processes that train a run together."""

from rich.cells import cell_len

from cnn_engine.runlog.events import ProcessesJoined, ProcessesMeasured, RunPrepared
from cnn_engine.runlog.state import RunState
from cnn_tui.text.numbers import percent, ratio
from cnn_tui.text.safe import safe_text

MAX_HOSTS = 3
MAX_HOST_LENGTH = 40


def process_count(prepared: RunPrepared) -> str:
    """Return `2 processes`; empty for one."""
    count = prepared.environment.get("processes", "1")
    return "" if count == "1" else f"{safe_text(count, 20)} processes"


def machine_count(state: RunState) -> str:
    """Return `2 machines`; empty if all processes are on one."""
    count = len(set(state.joined.hosts)) if state.joined else 1
    return f"{count} machines" if count > 1 else ""


def joined_text(joined: ProcessesJoined) -> str:
    """Return `4 processes on a, b`."""
    hosts = [safe_text(host, MAX_HOST_LENGTH) for host in dict.fromkeys(joined.hosts)]
    more = f" and {len(hosts) - MAX_HOSTS} more" if len(hosts) > MAX_HOSTS else ""
    noun = "process" if len(joined.hosts) == 1 else "processes"
    return f"{len(joined.hosts)} {noun} on {', '.join(hosts[:MAX_HOSTS])}{more}"


def restarted_text(joined: ProcessesJoined) -> str:
    """Return the same, with the number of times that they were started again."""
    again = f", started again after one was lost (restart {joined.restarts})"
    return f"{joined_text(joined)}{again if joined.restarts > 0 else ''}"


def step_text(measured: ProcessesMeasured) -> str:
    """Return the durations of a step of all processes, `14.1–14.3 ms`, without the exchange."""
    lowest, highest = (milliseconds(each(measured.step_seconds)) for each in (min, max))
    return f"{lowest} ms" if lowest == highest else f"{lowest}–{highest} ms"


def milliseconds(seconds: float) -> str:
    """Return a duration in milliseconds with three significant digits, `4.05` or `1,250`."""
    value = 1000 * seconds
    digits = next((digits for digits, limit in ((2, 9.995), (1, 99.95)) if value < limit), 0)
    return f"{value:,.{digits}f}"


def exchange_share(step_seconds: float, exchange_seconds: float) -> str:
    """Return the part of the time that goes into the exchange, with the wait for others: `12%`."""
    return percent(ratio(exchange_seconds, exchange_seconds + step_seconds), 0)


def processes_line(state: RunState, width: int = 1000) -> str:
    """Return `2 processes on vm: step 14.1–14.3 ms, exchange 12%`, shorter for a small width.

    It is empty for one process, and has no times before they are measured.
    """
    if state.joined is None or len(state.joined.hosts) < 2:
        return ""
    where, count = joined_text(state.joined), f"{len(state.joined.hosts)} processes"
    measured = state.measured[-1] if state.measured else None
    if measured is None or not measured.step_seconds:
        return where if cell_len(where) <= width else count
    step = step_text(measured)
    share = exchange_share(sum(measured.step_seconds), sum(measured.exchange_seconds))
    texts = (
        f"{where}: step {step}, exchange {share}",
        f"{count}: step {step}, exchange {share}",
        f"{count}: step {step}",
    )
    return next((text for text in texts if cell_len(text) <= width), texts[-1])
