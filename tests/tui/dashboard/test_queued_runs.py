"""Queued runs in the list of runs, in the form for a new run, and on their own screen."""

import pytest

from cnn_engine.queue.entries import read_entries
from cnn_engine.runs.queued import set_held
from cnn_engine.runs.summary import read_summary
from cnn_engine.session import holder_process
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.dialogs.new_run import NewRunDialog
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from golden import golden_run
from pilot import press, screen_text, wait_for_text
from queues import queued_run
from runs_for_tests import wait_until


@pytest.fixture(autouse=True)
def no_holder(monkeypatch):
    """Start no process that starts queued runs."""
    monkeypatch.setattr(holder_process, "MODULE", "cnn_engine.errors")


def names(app):
    return [run.name for run in app.screen.rows.runs]


async def test_list_shows_queued_runs_in_their_order_and_changes_it(tmp_path):
    golden_run(tmp_path, "completed", "1124-0412-amber")
    a, b, c = (queued_run(tmp_path, name=name) for name in "abc")
    set_held(a, held=True)
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "queued 2")
        assert names(app) == ["b", "c", "a", "baseline"]
        text = screen_text(app)
        assert text.index("queued 1") < text.index("queued 2") < text.index("held")
        assert "g start" in text
        await press(pilot, "down", "K")
        assert names(app) == ["c", "b", "a", "baseline"]
        await press(pilot, "x")
        await wait_for_text(pilot, "is cancelled; resume starts it again")
        assert read_summary(c).status == "stopped"
        await press(pilot, "end", "K")
        assert "Only queued runs; in the form for a new run, ctrl+t" in screen_text(app)
        assert "g resume" not in screen_text(app)  # the message is in place of the keys
    assert [entry.run for entry in read_entries()] == [str(a.path), str(b.path)]


async def test_screen_of_a_queued_run_tells_for_what_it_waits(tmp_path):
    queued_run(tmp_path)
    run = queued_run(tmp_path, name="wide")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "Queued 2 for cpu: waits for 1 queued run")
        assert "queued" in screen_text(app).splitlines()[0]
        assert "interrupted" not in screen_text(app)
        await press(pilot, "p")
        assert "This run is queued: no process trains it yet" in screen_text(app)


async def test_form_for_a_new_run_queues_it(tmp_path):
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(120, 36)) as pilot:
        form = NewRunDialog.from_preset("digits", tmp_path)
        app.screen.run_worker(app.screen._train(form))
        await wait_for_text(pilot, "ctrl+t: queue")
        await press(pilot, "ctrl+t")
        wait_until(read_entries)
        await wait_for_text(pilot, "Queued 1 for")
    assert len(read_entries()) == 1
