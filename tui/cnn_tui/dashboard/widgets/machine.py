"""How busy and how full the machine is that trains."""

from textual.content import Content

from cnn_engine.runlog.events import MachineMeasured
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel, colored_bar
from cnn_tui.text.numbers import bytes_text, percent, ratio

NAME_WIDTH = 4
LEAST_BAR = 3


class Machine(Panel):
    """Processor, memory, GPU and disk, as last measured."""

    def depends_on(self, state: RunState) -> object:
        """The last measurement."""
        return state.machine

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """A line for each, and the memory of this process."""
        measured = state.machine
        if measured is None:
            return []
        used = measured.memory_total_bytes - measured.memory_available_bytes
        return [
            _share("cpu", measured.cpu, width),
            *_gpu(measured, width),
            _share("ram", ratio(used, measured.memory_total_bytes), width),
            _note("run", bytes_text(measured.memory_bytes)),
            _note("disk", f"{bytes_text(measured.disk_free_bytes)} free"),
        ]


def _gpu(measured: MachineMeasured, width: int) -> list[Content]:
    used, total = measured.gpu_memory_bytes, measured.gpu_memory_total_bytes
    if used is None or total is None:
        return []
    busy = [] if measured.gpu_busy is None else [_share("gpu", measured.gpu_busy, width)]
    return [*busy, _share("vram", ratio(used, total), width)]


def _share(name: str, share: float, width: int) -> Content:
    head = f"{name:<{NAME_WIDTH}} {percent(share, 0):>4} "
    room = width - len(head)
    return Content(head) + colored_bar(share, room if room >= LEAST_BAR else 0)


def _note(name: str, text: str) -> Content:
    return Content.assemble(f"{name:<{NAME_WIDTH}} ", text)
