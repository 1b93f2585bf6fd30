"""Series of named values in a run's state."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_engine.runlog import events, series
from cnn_engine.runlog.curve import CurvePoint
from event_samples import prepared, started, state_after, steps


def scalars(step, epoch=1, not_finite=None, **values):
    return events.ScalarsLogged(step=step, epoch=epoch, values=values, not_finite=not_finite or {})


def test_series_keep_their_points_and_extremes():
    state = state_after(
        started(),
        prepared(),
        scalars(5, f1=(0.5,), norm=(2.0, 1.0, 4.0), loss=(2.0, 1.0, 4.0, 3.0)),
        scalars(10, f1=(0.25,)),
    )
    assert list(state.series) == ["f1", "norm", "loss"]
    f1, norm, loss = state.series.values()
    assert list(f1.curve.steps) == [5, 10]
    assert [f1.last, f1.minimum, f1.maximum] == [0.25, 0.25, 0.5]
    assert list(norm.curve) == [CurvePoint(5, 2.0, 1.0, 4.0)]
    assert [norm.last, norm.minimum, norm.maximum] == [2.0, 1.0, 4.0]  # an older log
    assert list(loss.curve) == [CurvePoint(5, 2.0, 1.0, 4.0)]
    assert [loss.last, loss.minimum, loss.maximum] == [3.0, 1.0, 4.0]


@pytest.mark.parametrize(("text", "last"), [("inf", math.inf), ("-inf", -math.inf)])
def test_values_that_are_not_finite_are_gaps(text, last):
    state = state_after(scalars(5, f1=(0.5,)), scalars(6, not_finite={"f1": text}))
    (f1,) = state.series.values()
    assert list(f1.curve.steps) == [5, 6]
    assert math.isnan(f1.curve.losses[-1])
    assert [f1.last, f1.minimum, f1.maximum] == [last, 0.5, 0.5]


def test_values_beyond_the_position_of_a_resume_are_undone():
    resumed = events.RunResumed(pid=1, host="", version="", epoch=1, step=7, file="", seconds=0.0)
    state = state_after(
        started(),
        prepared(),
        steps(1, 5),
        scalars(5, f1=(0.5,)),
        scalars(10, f1=(0.25,), late=(1.0,)),
        resumed,
    )
    assert list(state.series) == ["f1"]
    assert [state.series["f1"].last, state.series["f1"].minimum] == [0.5, 0.5]


def test_names_and_points_are_bounded(monkeypatch):
    monkeypatch.setattr(series, "MAX_SERIES", 3)
    monkeypatch.setattr(series, "MAX_TOTAL_POINTS", 100)
    monkeypatch.setattr(series, "MIN_HALVED_POINTS", 10)
    state = state_after(
        *(scalars(step, **{f"name{n}": (float(step),) for n in range(5)}) for step in range(200))
    )
    assert list(state.series) == ["name0", "name1", "name2"]
    for values in state.series.values():
        assert len(values.curve) <= 50
        assert values.curve.steps[-1] >= 190
        assert [values.last, values.minimum, values.maximum] == [199, 0, 199]


@given(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=50))
def test_halved_curve_keeps_all_values(values):
    table = series.SeriesByName()
    for step, value in enumerate(values):
        table.add(scalars(step, x=(value,)), 0.0)
    halved = table["x"].curve.halved()
    halved.add(len(values), 0.0, 0.0, 0.0)
    assert len(halved) == (len(values) + 1) // 2
    for index, point in enumerate(halved):
        pair = [*values, 0.0][2 * index : 2 * index + 2]
        assert point.loss == pytest.approx(sum(pair) / 2, abs=1e-5)
        assert [point.low, point.high] == [min(pair), max(pair)]


def test_state_of_a_loop_knows_progress_and_time_left():
    loop = events.LoopDescribed(time=1000.0, epochs=4, steps_per_epoch=10, classes=("cat", "dog"))
    state = state_after(
        started(), loop, events.ScalarsLogged(time=1010.0, step=20, epoch=2, values={})
    )
    assert (state.phase, state.epoch, state.step, state.steps_done) == ("training", 2, 10, 20)
    assert state.classes == ("cat", "dog")
    assert state.seconds_left == pytest.approx(10.0)


def test_learning_rate_is_kept_by_step_where_it_is_known():
    unknown = replace(steps(1, 5), lr=math.nan)
    state = state_after(started(), prepared(), unknown, steps(1, 10), steps(2, 5))
    assert list(state.lr_curve.steps) == [10, 15]
    assert list(state.lr_curve.losses) == pytest.approx([0.001, 0.001])
    state.apply(
        events.RunResumed(pid=1, host="", version="", epoch=2, step=0, file="", seconds=0.0)
    )
    assert list(state.lr_curve.steps) == [10]


NAMES = st.sets(st.sampled_from("abcde"), min_size=1)


@given(
    st.lists(st.tuples(NAMES, st.sets(st.sampled_from("abcde"))), max_size=12), st.integers(0, 12)
)
def test_series_have_their_own_points_whichever_are_logged_together(logged, kept):
    """Series that are always logged together share their steps until one of them is left out."""
    table = series.SeriesByName()
    for step, (names, bad) in enumerate(logged):
        values = {name: (float(step),) for name in sorted(names)}
        table.add(scalars(step, not_finite=dict.fromkeys(bad - names, "nan"), **values), step)
    for points in (table, table.until(kept)):
        table_steps = [step for step in range(len(logged)) if points is table or step <= kept]
        for name in "abcde":
            steps = [step for step in table_steps if name in logged[step][0] | logged[step][1]]
            curve = points[name].curve if name in points else series.Series().curve
            assert list(curve.steps) == list(curve.seconds) == steps
            finite = [math.nan if name not in logged[step][0] else step for step in steps]
            assert repr(list(curve.losses)) == repr([float(value) for value in finite])
            assert len(curve.lows) == len(curve.highs) == len(steps)
    table.until(kept).add(scalars(99, a=(1.0,)), 99.0)  # changes no curve of the original
    assert all(99 not in values.curve.steps for values in table.values())


def test_series_that_are_logged_together_share_their_steps():
    table = series.SeriesByName()
    for step in range(3):
        table.add(scalars(step, a=(1.0,), b=(1.0,), c=(1.0,)), 0.0)
    table.add(scalars(3, a=(1.0,), b=(1.0,)), 0.0)
    a, b, c = (values.curve for values in table.values())
    assert a.steps is b.steps
    assert a.seconds is b.seconds
    assert [len(a), len(c)] == [4, 3]
    a, b, c = (values.curve for values in table.until(1).values())
    assert a.steps is b.steps
    assert list(a.steps) == list(c.steps) == [0, 1]
