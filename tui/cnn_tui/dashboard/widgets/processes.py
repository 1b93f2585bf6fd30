"""Step time, exchange and memory of each process of a run."""

from collections.abc import Sequence
from typing import TypeVar

from textual.content import Content

from cnn_engine.runlog.events import ProcessesJoined, ProcessesMeasured
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel, colored_bar
from cnn_tui.text.numbers import bytes_text, ratio
from cnn_tui.text.processes import exchange_share, milliseconds, processes_line
from cnn_tui.text.safe import safe_text
from cnn_tui.text.width import Justify, pad, widest

MAX_NAME = 14
MIN_BAR = 5
"""Width of a bar below which the columns of `OPTIONAL` are left out, one after the other."""

OPTIONAL = ("memory", "device", "host")

NOT_MEASURED = ProcessesMeasured(step_seconds=(), exchange_seconds=(), memory_bytes=())

Value = TypeVar("Value")


class Processes(Panel[RunState], can_focus=True):
    """A line for each process, with its own time for a step as a bar relative to the slowest.

    The process for which all others wait comes first. Without room, one line is for all of them.
    """

    TITLE = "Processes"

    def depends_on(self, state: RunState) -> object:
        """Return the processes and their last measurement."""
        return state.joined, state.measured[-1] if state.measured else None

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:
        """Return a heading, and a line for each process; one line if no more fits."""
        joined = state.joined
        if joined is None:
            return []
        if height == 1:
            return [Content(processes_line(state, width))]
        measured = state.measured[-1] if state.measured else NOT_MEASURED
        straggler = state.straggler[0] if state.straggler else None
        columns = _columns(joined, measured)
        for name in OPTIONAL:
            if _room(columns, width) < MIN_BAR:
                columns.pop(name, None)
        room, slowest = max(0, _room(columns, width)), max(measured.step_seconds, default=0.0)

        def line(rank: int) -> Content:
            seconds = _of_rank(measured.step_seconds, rank, 0.0)
            bar = colored_bar(ratio(seconds, slowest), room)
            mark = ("!", "$text-warning") if rank == straggler else " "
            return Content.assemble(mark, *_parts(columns, rank + 1, bar))

        heading = Content.assemble(" ", *_parts(columns, 0, " " * room)).stylize("$muted")
        ranks = sorted(range(len(joined.hosts)), key=lambda rank: rank != straggler)
        return [heading, *map(line, ranks)]


def _columns(joined: ProcessesJoined, measured: ProcessesMeasured) -> dict[str, list[str]]:
    """Return the cells of each column at one width: its heading, and a text for each process.

    Hosts and devices are columns only if they differ.
    """
    count = len(joined.hosts)
    steps, exchanges = measured.step_seconds, measured.exchange_seconds
    shares = [exchange_share(*pair) for pair in zip(steps, exchanges, strict=False)]
    columns = {"#": _cells("#", range(count), count)}
    for name, values in (("host", joined.hosts), ("device", joined.devices)):
        if len(set(values)) > 1:
            names = [safe_text(value, MAX_NAME) for value in values]
            columns[name] = _cells(name, names, count, "left")
    columns["step"] = _cells("step", [f"{milliseconds(each)} ms" for each in steps], count)
    columns["exchange"] = _cells("exchange", shares, count)
    columns["memory"] = _cells("memory", [*map(bytes_text, measured.memory_bytes)], count)
    return columns


def _cells(
    heading: str, values: Sequence[object], count: int, justify: Justify = "right"
) -> list[str]:
    texts = [heading, *(str(_of_rank(values, rank, "–")) for rank in range(count))]
    width = widest(texts)
    return [pad(text, width, justify) for text in texts]


def _room(columns: dict[str, list[str]], width: int) -> int:
    """Return the width that is left for the bar."""
    return width - 1 - sum(1 + widest(cells[:1]) for cells in columns.values())


def _parts(columns: dict[str, list[str]], index: int, bar: Content | str) -> list[Content | str]:
    """Return the parts of a line, with the bar after the time for a step."""
    parts: list[Content | str] = []
    for name, cells in columns.items():
        space = " " if parts else ""
        parts += [space, cells[index], *([" ", bar] if name == "step" else [])]
    return parts


def _of_rank(values: Sequence[Value], rank: int, missing: Value) -> Value:
    """Return the value of a process; a damaged log may have too few."""
    return values[rank] if rank < len(values) else missing
