"""Load and memory of the machine that trains."""

from textual.content import Content

from cnn_engine.runlog.events import MachineMeasured
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel, labeled_bar
from cnn_tui.text.numbers import bytes_text, percent, ratio

NAME_WIDTH = 4
MIN_BAR = 3


class Machine(Panel[RunState]):
    """CPU, GPU, memory and disk at the last measurement."""

    DEFAULT_CSS = """
    Machine {
        border: none;
        padding: 0;
    }
    """

    def depends_on(self, state: RunState) -> object:
        """Return the last measurement."""
        return state.machine

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Return a line for each resource, and one for the memory of the training process."""
        measured = state.machine
        if measured is None:
            return []
        used = measured.memory_total_bytes - measured.memory_available_bytes
        return [
            _usage("cpu", measured.cpu, width),
            *_gpu(measured, width),
            _usage("ram", ratio(used, measured.memory_total_bytes), width),
            _text("run", bytes_text(measured.memory_bytes)),
            _text("disk", f"{bytes_text(measured.disk_free_bytes)} free"),
        ]


def _gpu(measured: MachineMeasured, width: int) -> list[Content]:
    used, total = measured.gpu_memory_bytes, measured.gpu_memory_total_bytes
    if used is None or total is None:
        return []
    busy = [] if measured.gpu_busy is None else [_usage("gpu", measured.gpu_busy, width)]
    return [*busy, _usage("vram", ratio(used, total), width)]


def _usage(name: str, fraction: float, width: int) -> Content:
    label = f"{name:<{NAME_WIDTH}} {percent(fraction, 0):>4} "
    return labeled_bar(label, fraction, width, MIN_BAR)


def _text(name: str, text: str) -> Content:
    return Content.assemble(f"{name:<{NAME_WIDTH}} ", text)
