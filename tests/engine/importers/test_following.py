"""Import of growing logs, and the import command."""

from cnn_engine.importers.importer import Importer
from cnn_engine.importers.open import open_source
from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.summary import read_state
from cnn_engine.storage.locks import is_locked
from imports_for_tests import LIGHTNING, EventFile, import_text, notices_of
from runs_for_tests import events_of


def test_growing_table_is_followed(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("step,loss,val_loss\n10,3,\n20,2,\n")
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(path), run)
    assert importer.poll()
    assert is_locked(run.events)
    assert not events_of(run, EpochFinished)
    with path.open("a") as file:
        file.write("20,,1.5\n30,1.0,\n40,0.")
    importer.poll()
    assert [event.val_loss for event in events_of(run, EpochFinished)] == [1.5]
    assert list(read_state(run)[0].curve.steps) == [10, 20, 30]
    with path.open("a") as file:
        file.write("5,\n40,,0.7\n")
    importer.poll()
    importer.close(ended=False)
    state, _ = read_state(run)
    assert list(state.curve.steps) == [10, 20, 30, 40]
    assert state.steps_per_epoch == 20
    assert [epoch.epoch for epoch in state.epochs] == [1, 2]
    assert (state.status, is_locked(run.events)) == ("stopped", False)


def test_growing_event_files_are_followed(tmp_path):
    event_file = EventFile(tmp_path / "logs")
    event_file.scalar("loss", 1, 2.0)
    event_file._writer.flush()
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(tmp_path / "logs"), run)
    assert importer.poll()
    event_file.scalar("loss", 2, 1.0).scalar("val_loss", 2, 0.5).scalar("memory", 2, 9.0)
    event_file.close()
    importer.poll()
    importer.close(ended=True)
    state, _ = read_state(run)
    assert list(state.curve.losses) == [2.0, 1.0]
    assert len(state.epochs) == 1
    assert [list(series.curve.steps) for series in state.series.values()] == [[1, 2], [2], [2]]
    assert notices_of(run) == [
        "loss is used as training loss",
        "val_loss is used as validation loss",
    ]


def test_state_read_from_the_log_equals_state_of_its_events(tmp_path):
    run = import_text(tmp_path, LIGHTNING)
    state = RunState()
    for event in LogReader(run.events).poll():
        state.apply(event)
    read, _ = read_state(run)
    assert state.curve == read.curve
    assert repr(state) == repr(read)  # as text, because NaN != NaN
