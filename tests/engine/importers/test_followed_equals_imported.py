"""A followed log becomes the same run as one that is imported at its end."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_engine.errors import UserError
from cnn_engine.importers.importer import Importer
from cnn_engine.importers.open import open_source
from cnn_engine.runlog.events import ImportRevised
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.summary import read_state
from imports_for_tests import KERAS, LIGHTNING, EventFile, contents, import_run, notices_of
from runs_for_tests import events_of


def follow(tmp_path, path, states):
    """Import a file that is followed while it takes several states; return the run."""
    run = create_run(tmp_path / "runs")
    importer = None
    for write in states:
        write()
        importer = importer or Importer(open_source(path), run)
        importer.poll()
    importer.close(ended=True)
    return run


def assert_followed_equals_imported(tmp_path, path, states):
    followed = follow(tmp_path, path, states)
    imported = import_run(tmp_path, path)
    assert contents(followed) == contents(imported)
    # Notices about a state that has passed may remain.
    assert set(notices_of(imported)) <= set(notices_of(followed))
    return followed


def writer(path, content, mode="wb"):
    def write():
        with path.open(mode) as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    return write


FIRST = "epoch,step,train_loss\n0,9,2.0\n0,19,1.8\n"
WITH_VALIDATION = "epoch,step,train_loss,val_acc,val_loss\n0,9,2.0,,\n0,19,1.8,,\n0,19,,0.4,1.7\n"
MORE = "1,29,1.5,,\n1,39,1.4,,\n1,39,,0.6,1.2\n"


def test_log_that_lightning_writes_anew_with_more_columns_is_followed(tmp_path):
    """Lightning's CSVLogger rewrites the file (Lightning-AI/pytorch-lightning#18567, #19159)."""
    path = tmp_path / "metrics.csv"
    states = [writer(path, FIRST), writer(path, WITH_VALIDATION), writer(path, MORE, "ab")]
    run = assert_followed_equals_imported(tmp_path, path, states)
    state, _ = read_state(run)
    assert list(state.curve.steps) == [9, 19, 29, 39]
    assert [epoch.val_accuracy for epoch in state.epochs] == [0.4, 0.6]


def test_rewriting_with_the_same_rows_revises_nothing(tmp_path):
    path = tmp_path / "metrics.csv"
    lines = LIGHTNING.splitlines(keepends=True)
    states = [writer(path, "".join(lines[:count])) for count in (4, 5, 7)]
    run = assert_followed_equals_imported(tmp_path, path, states)
    assert not events_of(run, ImportRevised)


@pytest.mark.parametrize(
    "states",
    [
        ["loss,val_loss\n3,2\n2,1\n", "loss,val_loss\n9,8\n"],
        ["loss,val_loss\n3,2\n2,1\n", "", "loss,val_loss\n9,8\n7,6\n5,4\n3,2\n"],
        ["loss,val_loss\n3,2\n2,1\n", "loss,val_loss\n3,2\n2,9\n1,0\n"],
        ["epoch,test_loss\n1,2\n", "epoch,test_loss,val_loss\n1,2,3\n2,1,2\n"],
        ["epoch,val_loss,acc\n1,2,0.5\n2,1,0.9\n", "epoch,val_loss,acc\n1,2,0.5\n2,1,0.9\n3,1,9\n"],
        ["step,loss\n5,1\n10,2\n", "step,loss\n5,1\n10,2\n3,7\n"],
        ["step,loss,val_loss\n10,1,2\n", "step,loss,val_loss\n10,1,2\n15,1,2\n20,1,1\n"],
    ],
    ids=["shorter", "emptied", "changed", "role", "percentage", "restart", "epoch length"],
)
def test_replaced_log_is_followed(tmp_path, states):
    path = tmp_path / "log.csv"
    assert_followed_equals_imported(tmp_path, path, [writer(path, text) for text in states])


def test_rotated_log_is_followed(tmp_path):
    path = tmp_path / "log.csv"

    def rotate():
        path.rename(tmp_path / "log.csv.1")
        writer(path, "loss\n7\n6\n")()

    states = [writer(path, "loss\n3\n2\n"), rotate, writer(path, "5\n", "ab")]
    run = assert_followed_equals_imported(tmp_path, path, states)
    assert list(read_state(run)[0].curve.losses) == [7.0, 6.0, 5.0]


@settings(deadline=None, max_examples=40)
@given(
    text=st.sampled_from([KERAS, LIGHTNING, WITH_VALIDATION + MORE, KERAS.replace("0.", "5.")]),
    cuts=st.lists(st.integers(0, 300), max_size=5),
    newline=st.booleans(),
)
def test_log_that_grows_by_any_pieces_is_followed(text, cuts, newline):
    content = (text if newline else text.rstrip("\n")).encode()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "log.csv"
        states = [writer(path, content[:cut]) for cut in sorted(cuts)]
        assert_followed_equals_imported(Path(directory), path, [*states, writer(path, content)])


# Event files


def test_restart_with_purge_step_is_followed(tmp_path):
    """purge_step undoes what a crash left, as in TensorBoard (lanpa/tensorboardX#185)."""
    logs = tmp_path / "logs"

    def before_crash():
        event_file = EventFile(logs)
        for step in range(10, 1001, 10):
            event_file.scalar("Loss/train", step, 9.0)
        event_file.scalar("Loss/val", 900, 9.0).close()

    after = []

    def restart():
        after.append(EventFile(logs, purge_step=805, suffix=".2"))
        for step in range(805, 1006, 10):
            after[0].scalar("Loss/train", step, 1.0)
        after[0].flush()

    def go_on():
        for step in range(1015, 1206, 10):
            after[0].scalar("Loss/train", step, 1.0)
        after[0].close()

    run = assert_followed_equals_imported(tmp_path, logs, [before_crash, restart, go_on])
    state, _ = read_state(run)
    values = dict(zip(state.curve.steps, state.curve.losses, strict=True))
    assert {values[step] for step in values if step >= 805} == {1.0}
    assert {values[step] for step in values if step < 805} == {9.0}
    assert state.epochs == []
    assert any("restarted at step 805" in text for text in notices_of(run))


def test_restart_without_purge_step_replaces_later_values(tmp_path):
    """Values of a crashed training do not alternate with those of the next (tensorboard#1272)."""
    for suffix, first, last, value in (("", 10, 100, 9.0), (".2", 50, 80, 1.0)):
        event_file = EventFile(tmp_path / "logs", suffix=suffix)
        for step in range(first, last + 1, 10):
            event_file.scalar("loss", step, value)
        event_file.close()
    state, _ = read_state(import_run(tmp_path, tmp_path / "logs"))
    assert list(state.curve.steps) == list(range(10, 81, 10))
    assert list(state.curve.losses) == [9.0] * 4 + [1.0] * 4


def test_directories_that_appear_later_belong_to_the_followed_run(tmp_path):
    """add_scalars and add_hparams make directories (pytorch#32651, lanpa/tensorboardX#519)."""
    logs = tmp_path / "logs"
    event_file = EventFile(logs)

    def train():
        for step in range(1, 9):
            event_file.scalar("Loss/train", step, 1 / step)
        event_file.flush()

    def validate():
        EventFile(logs / "Loss_val").scalar("Loss", 4, 3.0).scalar("Loss", 8, 2.0).close()

    def end():
        event_file.scalar("Loss/train", 9, 0.1).close()
        EventFile(logs / "1790000000.5").hparams().scalar("hparam/loss", 0, 0.9).close()

    run = assert_followed_equals_imported(tmp_path, logs, [train, validate, end])
    state, _ = read_state(run)
    assert (len(state.curve), [epoch.val_loss for epoch in state.epochs]) == (9, [3.0, 2.0])
    assert not any("hparam" in text for text in notices_of(run))


def test_event_file_that_is_written_anew_is_followed(tmp_path):
    paths = []
    for number, steps in enumerate((range(1, 9), range(1, 4), range(2, 12))):
        directory = tmp_path / f"source{number}"
        event_file = EventFile(directory)
        for step in steps:
            event_file.scalar("loss", step, number + step / 8)
        event_file.close()
        paths += directory.iterdir()
    path = tmp_path / "events.out.tfevents.1"
    states = [writer(path, source.read_bytes()) for source in paths]
    assert_followed_equals_imported(tmp_path, path, states)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 400)), min_size=1, max_size=6))
def test_event_files_that_grow_by_any_pieces_are_followed(growth):
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        sources = []
        for split in ("train", "validation"):
            event_file = EventFile(directory / "source" / split)
            for epoch in range(4):
                event_file.tensor("epoch_loss", epoch, 3.0 - epoch)
                event_file.tensor("epoch_accuracy", epoch, 10.0 * epoch)
            event_file.close()
            sources += (directory / "source" / split).iterdir()
        sizes = [60, 60]

        def grow(index, by):
            def write():
                sizes[index] += by
                for source, size in zip(sources, sizes, strict=True):
                    target = directory / "logs" / source.parent.name / source.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(source.read_bytes()[:size])

            return write

        states = [grow(index, by) for index, by in growth] + [grow(0, 4000), grow(1, 4000)]
        run = assert_followed_equals_imported(directory, directory / "logs", states)
        assert [epoch.val_loss for epoch in read_state(run)[0].epochs] == [3.0, 2.0, 1.0, 0.0]


def test_validations_counted_in_epochs_stand_at_the_training_step_of_their_time(tmp_path):
    """A loop may log losses by step, validations by epoch."""
    event_file = EventFile(tmp_path / "logs")
    for step in range(300):
        event_file.scalar("Loss/train", step, 1.0, 1e9 + step)
        if step % 100 == 99:
            event_file.scalar("Loss/val", step // 100, 2.0, 1e9 + step + 0.5)
            event_file.scalar("Acc/val", step // 100, 50.0, 1e9 + step + 0.6)
    event_file.close()
    run = import_run(tmp_path, tmp_path / "logs")
    state, _ = read_state(run)
    assert (state.steps_per_epoch, len(state.curve)) == (100, 300)
    assert [(epoch.epoch, epoch.val_loss, epoch.accuracy) for epoch in state.epochs] == [
        (1, 2.0, 0.5),
        (2, 2.0, 0.5),
        (3, 2.0, 0.5),
    ]
    assert any("Loss/val, Acc/val count epochs" in text for text in notices_of(run))


# Anything


@settings(deadline=None, max_examples=150)
@given(
    head=st.sampled_from([b"", b"epoch,loss\n", b"step;loss;val_loss\n", b"{", b"[", b"\xff\xfe"]),
    content=st.one_of(
        st.binary(max_size=300),
        st.text("epochlosval_,;\t\"'\n\r{}[]:0123456789.-+%naife ", max_size=300).map(str.encode),
    ),
    name=st.sampled_from(["log.csv", "log.json", "events.out.tfevents.1"]),
)
def test_any_bytes_are_imported_or_refused(head, content, name):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_bytes(head + content)
        problem = ""
        try:
            run = import_run(Path(directory), path)
        except UserError as error:
            problem = str(error)
        if problem:
            assert str(path) in problem
            assert "\n" not in problem
        else:
            assert contents(run)["damaged"] == 0
