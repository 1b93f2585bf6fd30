"""All series of imported logs, with a role and without."""

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_engine.importers import importer as importer_module
from cnn_engine.importers import timeline
from cnn_engine.importers.importer import Importer
from cnn_engine.importers.open import open_source
from cnn_engine.runlog.events import ImportRevised, ScalarsLogged, StepsFinished
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.summary import read_state, read_summary
from imports_for_tests import LIGHTNING, EventFile, contents, import_run, import_text, notices_of
from runs_for_tests import events_of


def scalars_of(run):
    events = events_of(run, ScalarsLogged)
    return [(event.step, event.values, event.not_finite) for event in events]


def test_every_series_is_kept_as_it_was_logged(tmp_path):
    """Also those with a role, whose accuracies are percentages here."""
    text = "epoch,val_loss,val_acc,fid,note\n0,2,41,9,x\n1,inf,63,nan,\n2,1,,7,\n"
    run = import_text(tmp_path, text)
    assert scalars_of(run) == [
        (1, {"val_loss": (2.0,), "val_acc": (41.0,), "fid": (9.0,)}, {}),
        (2, {"val_acc": (63.0,)}, {"val_loss": "inf", "fid": "nan"}),
        (3, {"val_loss": (1.0,), "fid": (7.0,)}, {}),
    ]
    state, _ = read_state(run)
    assert [epoch.accuracy for epoch in state.epochs] == [0.41, 0.63, None]
    assert read_summary(run).series["fid"] == (7.0, 7.0, 9.0)


def test_values_of_a_step_precede_the_end_of_its_epoch(tmp_path):
    run = import_text(tmp_path, LIGHTNING)
    kinds = "".join(type(event).__name__[:2] for event in LogReader(run.events).poll())
    assert kinds == "Ru" + 4 * "No" + "Ru" + 2 * "StScStScEp" + "Ru"
    state, _ = read_state(run)
    assert state.series["lr-Adam"].curve.steps == state.curve.steps


def test_series_of_event_files_have_the_times_of_the_log(tmp_path):
    event_file = EventFile(tmp_path / "logs")
    for step in range(1, 4):
        event_file.scalar("psnr", step, 30.0 + step, 1_700_000_000.0 + 60 * step)
    event_file.close()
    state, _ = read_state(import_run(tmp_path, tmp_path / "logs"))
    assert list(state.series["psnr"].curve.seconds) == [0.0, 60.0, 120.0]
    assert state.elapsed_seconds == 120.0


@pytest.fixture
def few_points(monkeypatch):
    monkeypatch.setattr(timeline, "MAX_POINTS", 4)


@pytest.mark.usefixtures("few_points")
def test_neighboring_steps_of_a_long_log_share_an_event(tmp_path):
    """No extreme is lost, and epochs end where they did."""
    rows = "".join(f"{step},{step % 5},{'nan' if step == 6 else -step},\n" for step in range(1, 14))
    run = import_text(tmp_path, "step,loss,x,val_loss\n" + rows + "14,7,7,3\n15,,9,\n")
    x = pytest.approx(-20 / 3)
    assert scalars_of(run) == [
        (4, {"loss": (2.5, 1.0, 4.0, 4.0), "x": (-2.5, -4.0, -1.0, -4.0)}, {}),
        (8, {"loss": (1.5, 0.0, 3.0, 3.0), "x": (x, -8.0, -5.0, -8.0)}, {"x": "nan"}),
        (12, {"loss": (1.75, 0.0, 4.0, 2.0), "x": (-10.5, -12.0, -9.0, -12.0)}, {}),
        (15, {"loss": (5.0, 3.0, 7.0, 7.0), "x": (1.0, -13.0, 9.0, 9.0), "val_loss": (3.0,)}, {}),
    ]
    steps = [(event.step, event.steps, event.loss) for event in events_of(run, StepsFinished)]
    assert steps == [(4, 4, 2.5), (8, 4, 1.5), (12, 4, 1.75), (14, 2, 5.0)]
    (epoch,) = read_state(run)[0].epochs
    assert epoch.train_loss == pytest.approx(33 / 14)


def test_extreme_values_can_be_merged(tmp_path, monkeypatch):
    monkeypatch.setattr(timeline, "MAX_POINTS", 1)
    run = import_text(tmp_path, "x,loss\n1.7e308,1.7e308\n1.7e308,1.6e308\n1.6e308,-1e308\n")
    (event,) = events_of(run, ScalarsLogged)
    mean, low, high, last = event.values["x"]
    assert (low, high, last) == (1.6e308, 1.7e308, 1.6e308)
    assert low <= mean <= high
    assert read_state(run)[1] == 0


def test_series_beyond_the_limit_are_counted_and_those_with_a_role_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(importer_module, "MAX_SERIES", 3)
    run = import_text(tmp_path, "a,b,c,loss,val_loss\n1,2,3,4,5\n")
    assert list(read_state(run)[0].series) == ["a", "loss", "val_loss"]
    assert notices_of(run)[-1] == "A run has at most 3 series; 2 are left out"


def test_long_names_are_shortened(tmp_path):
    name = 300 * "x"
    run = import_text(tmp_path, f"{name}a,{name}b,{name[:200]}\n1,2,3\n")
    lasts = {name: series.last for name, series in read_state(run)[0].series.items()}
    assert lasts == {name[:198] + "~2": 1.0, name[:198] + "~3": 2.0, name[:200]: 3.0}


def test_values_that_come_later_than_those_of_later_steps_are_added(tmp_path):
    """Event files of several directories grow in turn."""
    logs = tmp_path / "logs"
    files = [EventFile(logs / split) for split in ("train", "validation")]
    run = create_run(tmp_path / "runs")
    importer = None
    for step in range(1, 9):
        files[0].tensor("loss", 10 * step, 1 / step)
        if step % 3 == 0:
            files[1].tensor("fid", 10 * (step - 2), 3.0).tensor("fid", 10 * (step - 1), 2.0)
        for file in files:
            file.flush()
        importer = importer or Importer(open_source(logs), run)
        importer.poll()
    importer.close(ended=False)
    for file in files:
        file.close()
    assert not events_of(run, ImportRevised)
    series = read_state(run)[0].series
    assert list(series["train/loss"].curve.steps) == list(range(10, 90, 10))
    assert list(series["validation/fid"].curve.steps) == [10, 20, 40, 50]
    assert read_state(run)[0].steps_done == 80


COLUMNS = st.lists(
    st.tuples(
        st.sampled_from(["loss", "val_loss", "x", "y"]),
        st.integers(-2, 9),
        st.sampled_from([0.5, 2.0, -3.0, math.nan]),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(values=COLUMNS, polls=st.sets(st.integers(0, 25), max_size=5), limit=st.integers(1, 9))
def test_any_values_in_any_order_are_followed(values, polls, limit):
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "MAX_POINTS", limit)
        directory = Path(name)
        event_file = EventFile(directory / "logs")
        run = create_run(directory / "runs")
        importer = Importer(open_source(directory / "logs"), run)
        for number, (tag, step, value) in enumerate([*values, ("z", 1, 1.0)]):
            event_file.scalar(tag, step, value, 1e9 + number)
            if number in polls:
                event_file.flush()
                importer.poll()
        event_file.close()
        importer.close(ended=True)
        imported = import_run(directory, directory / "logs")
        assert contents(run) == contents(imported)
