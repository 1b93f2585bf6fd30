"""Binning, scales and the loss chart, for any numbers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_engine.runlog.curve import Curve, CurvePoint
from cnn_tui.charts.axes import MARGIN
from cnn_tui.charts.binning import (
    MAX_DRAWN,
    BinnedCurve,
    MovingAverage,
    Window,
    axis_epochs,
    is_drawable,
    linear_scale,
    log_scale,
)
from cnn_tui.charts.braille import BLANK, DotGrid, merge
from cnn_tui.charts.loss import (
    BAND,
    CLIPPED,
    TRAIN,
    VAL,
    ChartView,
    draw_loss_chart,
    visible_window,
)
from event_samples import epoch_finished, prepared, started, state_after, steps

any_float = st.floats(allow_nan=True, allow_infinity=True)
losses = st.lists(any_float, min_size=1, max_size=200)


def curve_of(values):
    return Curve([CurvePoint(step, loss, loss, loss) for step, loss in enumerate(values, 1)])


def binned(curve, columns=40, weight=0.0):
    bins = BinnedCurve(Window(0, max(1, len(curve)), columns), weight)
    bins.extend(curve)
    return bins


@given(losses)
def test_binned_curve_keeps_extremes(values):
    bins = binned(curve_of(values))
    for step, loss in enumerate(values, 1):
        column = bins.window.column(step)
        if is_drawable(loss):
            assert bins.low[column] <= loss <= bins.high[column]
        else:
            assert bins.has_gap[column]


@given(losses, st.integers(0, 200))
def test_extended_binned_curve_equals_whole_curve(values, cut):
    whole, growing = (
        binned(curve_of(values), weight=0.8),
        BinnedCurve(Window(0, len(values), 40), 0.8),
    )
    curve = curve_of(values[:cut])
    growing.extend(curve)
    for step, loss in enumerate(values[cut:], cut + 1):
        curve.add(step, loss, loss, loss)
    growing.extend(curve)
    assert list(growing.means()) == list(whole.means())
    assert list(growing.extremes()) == list(whole.extremes())


@given(losses)
def test_moving_average_stays_in_range(values):
    smoothing = MovingAverage(0.9)
    smoothing.extend(curve_of(values))
    drawn = []
    for loss, smooth in zip(values, smoothing.values, strict=True):
        drawn += [loss] if is_drawable(loss) else []
        if drawn:
            tolerance = 1e-9 * max(map(abs, drawn))
            assert min(drawn) - tolerance <= smooth <= max(drawn) + tolerance


@given(
    st.lists(st.floats(0.001, 1e6), min_size=2, max_size=60),
    st.integers(20, 120),
    st.integers(6, 40),
    st.booleans(),
)
def test_loss_chart_shows_every_loss_and_marks_those_above_it(values, width, height, log):
    """Every column with a loss is drawn, and the maximum is at the top of its column or marked."""
    state = state_after(started(epochs=1), prepared(steps_per_epoch=len(values)))
    state.curve = curve_of(values)
    state.epoch = 1
    bins = binned(state.curve, 2 * (width - MARGIN))
    lines = draw_loss_chart(state, bins, ChartView(log=log), width, height)
    assert len(lines) == height
    assert {len(line) for line in lines} == {width}
    marked = {
        (x - MARGIN, y)
        for y, line in enumerate(lines)
        for x, cell in enumerate(line)
        if cell[1].startswith((TRAIN, VAL)) and x >= MARGIN
    }
    maximum = max(values)
    columns = {x for x, _ in marked}
    for column, _, _ in bins.extremes():
        assert column // 2 in columns
    peak = [column for column, _, high in bins.extremes() if high == maximum]
    assert any(x == peak[0] // 2 and y == min(v for u, v in marked if u == x) for x, y in marked)


def test_loss_chart_shows_single_step_spike():
    state = state_after(started(epochs=1), prepared(steps_per_epoch=10_000))
    state.epoch = 1
    state.curve = Curve(
        [CurvePoint(step, 1.0, 0.9, 9.0 if step == 5000 else 1.1) for step in range(1, 10_001)]
    )
    bins = binned(state.curve, 2 * (80 - MARGIN))
    lines = draw_loss_chart(state, bins, ChartView(), 80, 20)
    tall = [x for x in range(MARGIN, 80) if lines[1][x][0] == CLIPPED]
    assert len(tall) == 1
    assert abs(tall[0] - MARGIN - (80 - MARGIN) / 2) <= 1
    assert all(BAND in line[tall[0]][1] for line in lines[2:6])
    assert "up to 9" in "".join(char for char, _ in lines[0])
    assert "1.0" in "".join(char for line in lines for char, _ in line[:MARGIN])


@pytest.mark.parametrize("log", [False, True])
def test_an_early_spike_does_not_flatten_the_run(log):
    """The scale follows the mean of the losses; one step of 100 is marked as clipped."""
    count = 1000
    values = [100.0, *(2.3 * 0.995**step + 0.1 for step in range(count - 1))]
    state = state_after(started(epochs=1), prepared(steps_per_epoch=count))
    state.epoch, state.curve = 1, curve_of(values)
    lines = draw_loss_chart(
        state, binned(state.curve, 2 * (80 - MARGIN)), ChartView(log=log), 80, 20
    )
    rows = {y for y, line in enumerate(lines) for char, style in line if style.startswith(TRAIN)}
    assert len(rows) >= 14
    assert ("up to 100" in "".join(char for char, _ in lines[0])) != log


def test_zoomed_range_is_a_band_without_gaps():
    state = state_after(started(epochs=1), prepared(steps_per_epoch=100))
    state.epoch = 1
    state.curve = Curve([CurvePoint(step, 1.0, 0.5, 1.5) for step in range(1, 101)])
    bins = BinnedCurve(Window(40, 50, 2 * (80 - MARGIN)))
    bins.extend(state.curve)
    lines = draw_loss_chart(state, bins, ChartView(), 80, 20)
    middle = [cell for cell in lines[9][MARGIN:] if BAND in cell[1]]
    assert len(middle) >= 80 - MARGIN - 1
    text = "".join(char for line in lines[1:-2] for char, _ in line[MARGIN:])
    assert len(text.replace(" ", "")) <= 80 - MARGIN  # without colours, only the curve is seen


def test_non_finite_losses_are_gaps():
    def dots(values):
        state = state_after(started(epochs=1), prepared(steps_per_epoch=len(values)))
        state.epoch, state.curve = 1, curve_of(values)
        lines = draw_loss_chart(state, binned(state.curve, 108), ChartView(), 60, 12)
        return sum(cell[1] == TRAIN for line in lines[1:] for cell in line)

    whole = dots([1.0] * 200)
    assert 0 < dots([1.0] * 80 + [math.nan, math.inf] * 20 + [1.0] * 80) < whole
    state = state_after(started(epochs=1), prepared())
    state.epoch, state.curve = 1, curve_of([math.nan, math.inf])
    assert draw_loss_chart(state, binned(state.curve), ChartView(), 60, 12) is None


@given(st.floats(-MAX_DRAWN, MAX_DRAWN), st.floats(-MAX_DRAWN, MAX_DRAWN), st.integers(4, 200))
def test_linear_scale_contains_range(one, other, rows):
    low, high = min(one, other), max(one, other)
    scale = linear_scale(low, high, rows, 5)
    tolerance = 1e-9 * max(abs(low), abs(high))
    assert scale.low <= low + tolerance
    assert scale.high >= high - tolerance
    assert 0 <= scale.row(high) <= scale.row(low) < rows
    assert 2 <= len(scale.ticks) <= 12


@given(st.floats(1e-300, MAX_DRAWN), st.floats(1e-300, MAX_DRAWN), st.integers(4, 200))
def test_log_scale_contains_range(one, other, rows):
    low, high = min(one, other), max(one, other)
    scale = log_scale(low, high, rows, 5)
    assert scale.low <= low
    assert scale.high >= high
    assert 0 <= scale.row(high) <= scale.row(low) < rows
    assert scale.ticks


@given(st.floats(0, 1e6), st.integers(0, 10_000))
def test_axis_epochs_contain_reached_epochs(reached, total):
    epochs = axis_epochs(reached, total)
    assert 1 <= epochs <= max(total, 1, math.ceil(reached))
    assert epochs >= min(reached, total)


@pytest.mark.parametrize("zoom", range(6))
def test_visible_window_contains_newest_step_or_cursor(zoom):
    for newest in range(1, 1000, 7):
        without_cursor = visible_window(ChartView(zoom=zoom), newest, 1000, 100)
        assert without_cursor.first <= newest <= without_cursor.last
        with_cursor = visible_window(ChartView(zoom=zoom, cursor=newest / 2), newest, 1000, 100)
        assert with_cursor.first <= newest / 2 <= with_cursor.last
        assert with_cursor.first >= 0
        assert with_cursor.last <= 1000


def test_best_epoch_and_lr_change_are_marked():
    state = state_after(
        started(epochs=4),
        prepared(steps_per_epoch=10),
        steps(1, 10),
        epoch_finished(1, 0.5),
        steps(2, 10),
        epoch_finished(2, 0.9),
    )
    state.epoch = 2
    state._mark("lr", "lr 0.1")
    bins = BinnedCurve(Window(0, 40, 100))
    bins.extend(state.curve)
    lines = draw_loss_chart(state, bins, ChartView(), MARGIN + 50, 14)
    text = ["".join(char for char, _ in line) for line in lines]
    assert sum(line.count("★") for line in text) == 1
    assert sum(line.count("○") for line in text[1:]) == 1
    assert text[-2].count("◆") == 1
    assert any("┊" in line for line in text)


def test_dot_grid_draws_bars():
    grid = DotGrid(2, 1)
    grid.bar(0, 0, 3)
    grid.bar(3, 1, 1)
    assert [chr(BLANK + code) for code in grid.cells(0)] == ["⡇", "⠐"]
    other = DotGrid(2, 1)
    other.bar(2, 0, 0)
    row = merge([(grid.cells(0), "line"), (other.cells(0), "other")])
    assert row == [("⡇", "line"), ("⠑", "line")]


@given(st.integers(0, 30), st.integers(0, 31), st.integers(0, 15), st.integers(0, 31))
def test_dot_grid_line_has_no_gaps(x0, y0, length, y1):
    grid = DotGrid(40, 8)
    grid.line(x0, y0, x0 + length, y1)
    dots = {
        (x, y) for x, column in enumerate(grid._columns) for y in range(32) if (column >> y) & 1
    }
    assert (x0, y0) in dots
    assert (x0 + length, y1) in dots
    assert {x for x, _ in dots} == set(range(x0, x0 + length + 1))
    for x in range(x0, x0 + length):
        left = [y for u, y in dots if u == x]
        right = [y for u, y in dots if u == x + 1]
        assert min(abs(a - b) for a in left for b in right) <= 1
