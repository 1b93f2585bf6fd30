"""Values that loops log: of any type and under any name."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.series import MAX_NAME, MAX_SERIES
from cnn_engine.runs.summary import read_state
from cnn_engine.tracking.entries import Logged
from cnn_engine.tracking.values import (
    RESERVED_SERIES,
    Converter,
    DeviceValue,
    read_device_values,
)
from grammar import LOOP_LETTERS, LOOP_SESSIONS, event_letters
from recorded_loops import LoopForTests


@pytest.fixture
def loop(tmp_path):
    loop = LoopForTests(tmp_path)
    yield loop
    loop.finish()


def state_of(loop):
    loop.flush()
    state, damaged = read_state(loop.directory)
    assert not damaged
    return state


def test_numbers_of_python_and_numpy_are_recorded(loop):
    loop.run.log(
        {
            "float": 1.5,
            "int": 2,
            "bool": True,
            "scalar": np.float32(0.25),
            "array": np.array(3),
            "one element": np.array([4.0]),
            "group": {"a": 5, "deep": {"b": 6}},
            7: 7,
        }
    )
    last = {name: series.last for name, series in state_of(loop).series.items()}
    assert last == {
        "float": 1.5,
        "int": 2,
        "bool": 1,
        "scalar": 0.25,
        "array": 3,
        "one element": 4,
        "group/a": 5,
        "group/deep/b": 6,
        "7": 7,
    }


def test_first_loss_that_is_nan_has_its_step_and_epoch(loop):
    for epoch in range(4):
        for step in range(20):
            loss = math.nan if (epoch, step) >= (1, 10) else 1.0
            loop.run.log({"loss": loss, "epoch": epoch})
    state = state_of(loop)
    curve = state.series["loss"].curve
    lost = zip(curve.steps, map(math.isnan, curve.losses), strict=True)
    assert next(step for step, is_lost in lost if is_lost) == 31
    (alarm,) = state.alarms
    assert "loss became nan in epoch 2" in alarm.text


def test_mean_least_greatest_and_last_of_many_values_are_kept(loop):
    with loop.run._recording.lock:  # the thread does not write meanwhile
        for value in (1.0, 5.0, 2.0, 4.0):
            loop.run.log({"x": value})
        loop.flush()
    series = state_of(loop).series["x"]
    (point,) = series.curve
    assert (point.step, point.loss, point.low, point.high) == (4, 3.0, 1.0, 5.0)
    assert series.last == 4.0


def test_nan_and_infinity_are_recorded_as_such(loop):
    loop.run.log({"loss": math.nan, "a": math.inf, "b": -math.inf})
    state = state_of(loop)
    assert math.isnan(state.series["loss"].last)
    assert (state.series["a"].last, state.series["b"].last) == (math.inf, -math.inf)
    assert math.isnan(state.curve.losses[-1])


def test_sum_that_overflows_is_recorded(loop):
    for _ in range(4):
        loop.run.log({"x": sys.float_info.max})
    assert state_of(loop).series["x"].last == sys.float_info.max


def test_other_objects_are_reported_once_and_ignored(loop, capsys):
    for _ in range(3):
        loop.run.log({"image": object(), "text": "cat", "list": [1, 2], "huge": 10**400, "x": 1})
    state = state_of(loop)
    assert list(state.series) == ["x"]
    texts = [notice.text for notice in state.notices]
    assert texts[:3] == [
        "'image' is not recorded: object is no number",
        "'text' is not recorded: str is no number",
        "'list' is not recorded: list is no number",
    ]
    assert len(texts) == 4
    assert capsys.readouterr().err.count("'image'") == 1


def test_calls_with_wrong_arguments_are_reported_once(loop, capsys):
    for _ in range(2):
        loop.run.log(5)
        loop.run.log()
        loop.run.validated([1, 2], [1])
        loop.run.validated([-1], [1])  # another mistake
        loop.run.control(object())
    assert loop.run.should_stop is False
    assert capsys.readouterr().err.count("log failed, training goes on") == 1
    texts = [notice.text for notice in state_of(loop).notices]
    assert texts[2].endswith(
        "2 true classes and 1 predicted ones: one of each for every image is expected"
    )
    assert [text.partition(" failed")[0] for text in texts] == [
        "log takes a dictionary of names and numbers, not int",
        "log",
        "validated",
        "validated",
        "control",
    ]


def test_names_are_shortened_and_printable(loop):
    loop.run.log({"a" * 300: 1, "\x1b[31mred\x07": 2, "": 3, "lone \ud800": 4})
    state = state_of(loop)
    assert list(state.series) == ["a" * (MAX_NAME - 1) + "…", "�[31mred�", "lone �"]


def test_series_beyond_the_limit_are_reported_once(loop):
    for number in range(MAX_SERIES + 5):
        loop.run.log({f"s{number}": 1})
    state = state_of(loop)
    assert len(state.series) == (limit := MAX_SERIES - RESERVED_SERIES)
    (notice,) = state.notices
    assert notice.text.startswith(f"Only {limit} series are recorded, and losses, accuracies")
    assert notice.text.endswith(f": 's{limit}' is not")


def test_losses_are_recorded_beside_any_number_of_series(loop):
    others = {f"s{number}": 1.0 for number in range(2 * MAX_SERIES)}
    loop.run.log(others | {"train/loss": 0.5, "lr": 0.1})
    loop.run.log({"val/loss": 0.6, "val/accuracy": 0.7})
    state, _ = read_state(loop.finish())
    assert [epoch.val_loss for epoch in state.epochs] == [0.6]
    assert (state.lr, state.epochs[0].train_loss) == (0.1, 0.5)


def test_loss_that_is_nan_in_a_step_is_reported_without_alarm(loop, capsys):
    for step in range(1, 41):
        loop.run.log({"loss": math.nan if step == 12 else 0.5})
    loop.run.log({"val/loss": 1.0})
    state, _ = read_state(loop.finish())
    assert (state.alarms, [epoch.train_loss for epoch in state.epochs]) == ([], [0.5])
    assert [notice.text for notice in state.notices] == ["loss was nan at step 12"]
    assert "loss was nan at step 12" in capsys.readouterr().err


def test_accuracies_turn_out_to_be_in_percent(loop):
    for accuracy in (0.9, 10.0, 35.5):
        loop.run.log({"loss": 1.0, "acc": 2 * accuracy})
        loop.run.log({"val/loss": 1.0, "val/acc": accuracy})
    epochs = read_state(loop.finish())[0].epochs
    assert [epoch.val_accuracy for epoch in epochs] == pytest.approx([0.009, 0.1, 0.355])
    assert [epoch.train_accuracy for epoch in epochs] == pytest.approx([0.018, 0.2, 0.71])


def test_dictionary_that_contains_itself_is_reported(loop):
    values = {"x": 1}
    values["again"] = values
    loop.run.log(values)
    assert state_of(loop).series["x"].last == 1


def test_queue_is_bounded(loop):
    with loop.run._recording.lock:
        for _ in range(25_000):
            loop.run.log({"loss": 1.0})
        assert len(loop.run._recording._queue) <= 10_000
    assert state_of(loop).steps_done == 25_000


NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(),
    st.booleans(),
    st.decimals(),
    st.fractions(),
)
VALUES = st.recursive(
    st.one_of(NUMBERS, st.text(), st.binary(), st.none(), st.complex_numbers(), st.builds(object)),
    lambda children: st.dictionaries(st.text() | st.integers(), children, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from("loss val/loss acc val_acc epoch step global_step lr x".split()) | st.text()
STEPS = st.none() | st.integers() | st.floats() | st.text()


@settings(max_examples=30, deadline=None)
@given(calls=st.lists(st.tuples(st.dictionaries(NAMES, VALUES, max_size=4), STEPS), max_size=12))
def test_any_values_leave_a_valid_log(tmp_path_factory, calls):
    """No call raises, every line is an event, and the state of the run is the one that is read."""
    loop = LoopForTests(tmp_path_factory.mktemp("runs"))
    for values, step in calls:
        loop.run.log(values, step=step)
    live = loop.run._recording.recorder.state
    run = loop.finish()
    reader = LogReader(run.events)
    logged = list(reader.poll())
    assert reader.damaged_lines == 0
    state, _ = read_state(run)
    assert (state.status, state.steps_done, list(state.series)) == (
        "done",
        live.steps_done,
        list(live.series),
    )
    assert LOOP_SESSIONS.fullmatch(event_letters(logged, LOOP_LETTERS))
    steps = [event.step for event in logged if type(event).__name__ == "ScalarsLogged"]
    assert steps == sorted(steps)
    finished = [epoch.epoch for epoch in state.epochs]
    assert finished == sorted(set(finished))


def test_tensors_are_read_at_once_on_the_cpu_and_later_on_a_device(monkeypatch):
    torch = pytest.importorskip("torch")
    warnings = []
    converter = Converter(lambda subject, text: warnings.append((subject, text)))
    weight = torch.ones((), requires_grad=True)
    values = converter.convert(
        {"loss": weight * 2, "one": torch.tensor([3]), "many": torch.zeros(2), "no": "x"}
    )
    assert values == {"loss": 2.0, "one": 3.0}
    assert warnings == [
        ("many", "'many' is not recorded: one number is expected, not 2"),
        ("no", "'no' is not recorded: str is no number"),
    ]
    monkeypatch.setattr("cnn_engine.tracking.values.READ_AT_ONCE", ())
    loss = torch.ones(1)
    on_device = converter.convert({"loss": loss})["loss"]
    assert on_device.tensor.shape == ()
    # A copy: the loop may change its own in place.
    assert on_device.tensor.untyped_storage()._cdata != loss.untyped_storage()._cdata
    assert not on_device.tensor.requires_grad


def test_tensors_of_a_device_are_read_together():
    torch = pytest.importorskip("torch")
    tensors = [
        torch.tensor(0.5),
        torch.tensor(3),
        torch.tensor(2.0, dtype=torch.bfloat16),
        torch.tensor(True),
        torch.tensor(math.nan),
        torch.tensor(0.25),
    ]
    values = [DeviceValue(tensor, None) for tensor in tensors]
    numbers, errors = read_device_values(values)
    assert not errors
    found = [numbers[id(tensor)] for tensor in tensors]
    assert found[:4] == [0.5, 3.0, 2.0, 1.0]
    assert math.isnan(found[4])
    assert found[5] == 0.25


def test_values_that_a_device_does_not_give_are_reported_once(loop, monkeypatch):
    """Another series of the same device is still read."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr("cnn_engine.tracking.values.READ_AT_ONCE", ())
    wrong = DeviceValue(torch.ones(2), None)
    with loop.run._recording.lock:
        for _ in range(2):
            loop.run.log({"good": torch.ones(())})
            loop.run._recording.put(Logged({"loss": wrong}, 0.0))
            loop.flush()
    state = state_of(loop)
    assert list(state.series) == ["good"]
    (notice,) = state.notices
    assert notice.text.startswith("'loss' could not be read from the device: RuntimeError: ")


def test_tensor_without_data_is_reported(loop):
    torch = pytest.importorskip("torch")
    loop.run.log({"loss": torch.ones((), device="meta"), "x": 1})
    state = state_of(loop)
    assert list(state.series) == ["x"]
    (notice,) = state.notices
    assert notice.text.endswith("'loss' is not recorded: a tensor on the meta device has no value")


def test_what_is_no_dictionary_is_reported_once(loop):
    for values in (5, [1.0], None):
        loop.run.log(values)
    loop.run.log({"array": np.zeros(4), "x": 1})
    state = state_of(loop)
    assert list(state.series) == ["x"]
    assert [notice.text for notice in state.notices] == [
        "log takes a dictionary of names and numbers, not int",
        "'array' is not recorded: one number is expected, not 4",
    ]
