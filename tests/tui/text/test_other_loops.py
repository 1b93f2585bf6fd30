"""Texts about runs of other training loops."""

from dataclasses import replace

from cnn_engine.runlog.events import RunStarted, StepsFinished
from cnn_engine.runlog.lines import from_line
from cnn_engine.runlog.state import RunState
from cnn_tui.headless.printer import progress_line
from cnn_tui.text.other_loops import speed_text
from golden import golden_lines
from loops_for_tests import classifier


def state_of(batch_size: int, processes: int) -> RunState:
    """Return the state of a loop of 4 steps per second, with batches of that many samples."""
    state = RunState()
    for event in classifier(epochs=1):
        match event:
            case RunStarted():
                state.apply(replace(event, processes=processes))
            case StepsFinished():
                state.apply(replace(event, images=event.steps * batch_size))
            case _:
                state.apply(event)
    return state


def test_speed_is_in_samples_of_all_processes_or_in_steps():
    assert speed_text(state_of(batch_size=333, processes=1)) == "1,330 samples/s"
    assert "1,330 samples/s" in progress_line(state_of(batch_size=333, processes=1))
    assert speed_text(state_of(batch_size=0, processes=1)) == "4 steps/s"
    assert speed_text(state_of(batch_size=333, processes=8)) == "4 steps/s"


def test_speed_of_our_own_run_is_in_images():
    state = RunState()
    for line in golden_lines("completed"):
        state.apply(from_line(line))
    assert speed_text(state).endswith(" img/s")
