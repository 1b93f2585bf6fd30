"""Small and enlarged charts of any series."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cnn_engine.runlog import events
from cnn_engine.runlog.curve import Curve, CurvePoint
from cnn_tui.charts.axes import add_scale, fit_scale
from cnn_tui.charts.binning import Window
from cnn_tui.charts.loss import BAND, CLIPPED, TRAIN, VAL, ChartView
from cnn_tui.charts.metric_chart import (
    CLIPPED_BELOW,
    LABEL_WIDTH,
    MARGIN,
    MetricChart,
    draw_enlarged,
    draw_tile,
)
from cnn_tui.charts.metric_groups import groups_of
from cnn_tui.charts.run_metrics import BinnedMetrics, Metric, RunMetrics
from event_samples import epoch_finished, prepared, started, state_after, steps

any_float = st.floats(allow_nan=True, allow_infinity=True, width=32)

PLAIN = ChartView()


def chart_of(series, width=40, view=PLAIN, last=10.0, unit=1.0):
    """Return the chart of series given as pairs of step and value by name."""
    metrics = {}
    for name, points in series.items():
        curve = Curve([CurvePoint(step, value, value, value) for step, value in points])
        metrics[name] = Metric(curve, points[-1][1])
    window = Window(0.0, last, 2 * (width - MARGIN))
    binned = BinnedMetrics().bin(metrics, window, view.smoothing)
    (group,) = groups_of(metrics)
    return MetricChart(group, metrics, binned, view, unit)


def text_of(lines):
    return ["".join(char for char, _ in line) for line in lines]


def test_tile_has_the_title_the_values_and_a_scale():
    series = {"val/loss": [(5, 2.0), (10, 1.0)], "train/loss": [(1, 3.0), (10, 0.25)]}
    lines = draw_tile(chart_of(series), 40, 6, is_selected=True)
    title, *rows = text_of(lines)
    assert title.startswith("› loss")
    assert title.endswith("train 0.25 ○ val 1")
    assert {row[LABEL_WIDTH] for row in rows} <= {"│", "┤"}
    assert {row[:LABEL_WIDTH].strip() for row in rows} == {"", "0", "2"}
    styles = {style for line in lines[1:] for _, style in line}
    assert {TRAIN, VAL} <= styles


@pytest.mark.parametrize("width", [18, 24, 30, 60])
def test_title_keeps_the_end_of_a_long_name_and_the_value(width):
    name = "grad/stage1.block2.conv3.weight.norm"
    (title, *_) = text_of(draw_tile(chart_of({name: [(1, 0.5)]}), width, 4, is_selected=False))
    assert title.endswith(" 0.5")
    assert title[:-4].strip().removeprefix("…") in name
    assert len(title) == width


def test_values_that_have_no_room_are_left_out_last_first():
    series = {f"{split}/loss": [(1, 1234.0)] for split in ("train", "val", "test")}
    texts = {
        width: text_of(draw_tile(chart_of(series), width, 4, is_selected=False))[0]
        for width in (17, 24, 60)
    }
    assert texts[60].endswith("train 1,234 ○ val 1,234 × test 1,234")
    assert texts[24].endswith("1,234 ○1,234")
    assert texts[17].endswith("  1,234")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_value_that_is_not_finite_is_written_and_drawn_as_a_gap(value):
    lines = draw_tile(chart_of({"x": [(1, 1.0), (5, value)]}), 40, 6, is_selected=False)
    assert text_of(lines)[0].endswith(f" {value}")
    assert "$text-error" in lines[0][-1][1]
    lines = draw_tile(chart_of({"x": [(5, value)]}), 40, 6, is_selected=False)
    assert "no finite values" in "".join(text_of(lines))


def test_constant_series_is_in_the_middle_of_round_numbers():
    rows = text_of(draw_tile(chart_of({"lr": [(1, 0.001), (9, 0.001)]}), 40, 10, is_selected=False))
    labels = [row[:LABEL_WIDTH].strip() for row in rows[1:]]
    assert [label for label in labels if label] == ["0.002", "0.001", "0.000"]
    zero = text_of(draw_tile(chart_of({"x": [(1, 0.0)]}), 40, 10, is_selected=False))
    assert any(row[:LABEL_WIDTH].strip() == "0.0" for row in zero)
    small = text_of(draw_tile(chart_of({"lr": [(1, 0.1)]}), 40, 5, is_selected=False))
    assert [label for row in small[1:] if (label := row[:LABEL_WIDTH].strip())] == [
        "0.2",
        "0.1",
        "0.0",
    ]


def test_outliers_are_marked_and_do_not_flatten_the_curve():
    points = [(step, math.sin(step)) for step in range(1, 61)]
    points[20], points[40] = (21, 1000.0), (41, -1000.0)
    lines = draw_tile(chart_of({"x": points}, last=60.0), 70, 10, is_selected=False)
    _, *rows = text_of(lines)
    assert CLIPPED in rows[0]
    assert CLIPPED_BELOW in rows[-1]
    drawn = [row for row in rows if any("\u2801" <= char <= "\u28ff" for char in row)]
    assert len(drawn) >= 6


def test_range_of_steps_is_shaded_only_where_there_is_room():
    chart = chart_of({"x": [(1, 0.0), (10, 1.0)]})
    lines = draw_tile(chart, 40, 12, is_selected=False)  # single values have no range
    assert not any(BAND in style for line in lines for _, style in line)
    curve = Curve([CurvePoint(step, 1.0 + step, step, 3.0 + step) for step in range(1, 11)])
    metrics = {"x": Metric(curve, 1.0)}
    chart = chart._replace(metrics=metrics, binned=BinnedMetrics().bin(metrics, chart.window, 0))
    for height, has_band in ((5, False), (12, True)):
        lines = draw_tile(chart, 40, height, is_selected=False)
        assert any(BAND in style for line in lines for _, style in line) is has_band


def test_enlarged_chart_shades_a_range_that_is_high_only_at_first():
    """As the loss falls, so does its range, which the loss chart of Live shades too."""
    losses = [2 * math.exp(-step / 20) for step in range(200)]
    points = enumerate(losses, 1)
    curve = Curve([CurvePoint(step, loss, 0.7 * loss, 1.3 * loss) for step, loss in points])
    metrics = {"x": Metric(curve, 0.1)}
    chart = chart_of({"x": [(1, 0.0)]}, width=70, last=200.0)
    chart = chart._replace(metrics=metrics, binned=BinnedMetrics().bin(metrics, chart.window, 0))
    tile = draw_tile(chart, 70, 20, is_selected=False)
    enlarged = draw_enlarged(chart, 70, 20)
    for lines, has_band in ((tile, False), (enlarged, True)):
        assert any(BAND in style for line in lines for _, style in line) is has_band


def test_log_scale_without_positive_values_says_so():
    chart = chart_of({"x": [(1, -1.0), (5, -2.0)]}, view=ChartView(log=True))
    assert "no positive values" in "".join(text_of(draw_tile(chart, 40, 6, is_selected=False)))
    assert "no positive values" in "".join(text_of(draw_enlarged(chart, 40, 12)))


def test_cursor_reads_the_last_value_before_it():
    series = {"train/loss": [(step, float(step)) for step in range(1, 10)], "val/loss": [(5, 50.0)]}
    view = ChartView(cursor=7.0)
    chart = chart_of(series, width=70, view=view, unit=5.0)
    title = text_of(draw_tile(chart, 70, 6, is_selected=False))[0]
    assert title.endswith("train 7 ○ val 50")
    legend = text_of(draw_enlarged(chart, 70, 12))[0]
    assert legend.startswith("epoch 2 · step 7")
    assert "range 7 to 7" in legend
    before = chart_of(series, view=ChartView(cursor=1.0))
    assert text_of(draw_tile(before, 40, 6, is_selected=False))[0].endswith("train 1 ○ val –")


def test_hostile_names_are_escaped():
    for name in ("\x1b[2Jx", "a\nb", "\u202ee", "[/nope]", "日本語" * 60, "é" * 500, "\udcff"):
        lines = draw_tile(chart_of({name: [(1, 1.0)]}), 40, 5, is_selected=False)
        assert all(char == "" or char.isprintable() for line in lines for char, _ in line)
        assert {len(line) for line in lines} == {40}


@given(
    st.dictionaries(
        st.sampled_from(["train/x", "val/x", "test/x"]),
        st.lists(any_float, min_size=1, max_size=40),
        min_size=1,
    ),
    st.integers(MARGIN + 1, 90),
    st.integers(1, 30),
    st.booleans(),
    st.sampled_from([None, 0.0, 3.3, 40.0]),
)
def test_any_values_are_drawn_in_the_given_size(values, width, height, log, cursor):
    series = {name: list(enumerate(numbers, 1)) for name, numbers in values.items()}
    chart = chart_of(series, width, ChartView(log=log, cursor=cursor, smoothing=1), last=40.0)
    for lines in (
        draw_tile(chart, width, height, is_selected=True),
        draw_enlarged(chart, width, height),
    ):
        assert len(lines) == height
        assert {len(line) for line in lines} == {width}


@given(st.floats(-1e30, 1e30), st.floats(1e-12, 1e30), st.integers(2, 20), st.booleans())
@example(5e-324, 1.0, 2, True)
def test_numbers_of_a_scale_are_short_and_right(low, span, rows, log):
    scale = fit_scale([low, low + span], rows, log=log)
    if scale is None:
        return
    lines = text_of(add_scale([[(" ", "")] for _ in range(rows)], scale, LABEL_WIDTH))
    texts = {row: line[:LABEL_WIDTH].strip() for row, line in enumerate(lines)}
    units = str.maketrans({"k": "e3", "M": "e6", "G": "e9"})
    for tick in scale.ticks:
        if (text := texts[scale.row(tick) // 4]) and len(scale.ticks) <= rows:
            assert any(
                float(text.translate(units)) == pytest.approx(other, rel=1e-6, abs=1e-20)
                for other in scale.ticks
            ), (text, scale.ticks)


# Series of a run.


def test_own_run_has_loss_accuracy_and_rate_as_series():
    logged = events.ScalarsLogged(step=10, epoch=1, values={"gradient norm": (2.0,)})
    state = state_after(
        started(),
        prepared(),
        steps(1, 5),
        steps(1, 10),
        epoch_finished(1, 0.8),
        logged,
        steps(2, 5),
    )
    source = RunMetrics()
    metrics = source.read(state)
    assert [group.title for group in groups_of(metrics)] == [
        "loss",
        "accuracy in %",
        "learning rate",
        "gradient norm",
    ]
    assert list(metrics["val/loss"].curve.steps) == [10]
    assert metrics["val/loss"].last == pytest.approx(0.8)
    assert metrics["val/accuracy in %"].last == pytest.approx(70.0)
    assert list(metrics["learning rate"].curve.steps) == [5, 10, 15]
    curve = metrics["val/loss"].curve
    state.apply(epoch_finished(2, 0.7))
    assert source.read(state)["val/loss"].curve is curve
    assert list(curve.steps) == [10, 20]


def test_undone_epochs_are_removed_from_the_series():
    state = state_after(
        started(), prepared(), steps(1, 10), epoch_finished(1), steps(2, 10), epoch_finished(2, 0.5)
    )
    source = RunMetrics()
    assert len(source.read(state)["val/loss"].curve) == 2
    state.apply(
        events.RunResumed(pid=1, host="", version="", epoch=2, step=0, file="", seconds=0.0)
    )
    assert list(source.read(state)["val/loss"].curve.steps) == [10]


def test_run_of_another_loop_has_the_series_that_it_logs():
    logged = events.ScalarsLogged(step=10, epoch=1, values={"train/loss": (1.0,)})
    state = state_after(
        started(), events.LoopDescribed(steps_per_epoch=10), steps(1, 10), epoch_finished(1), logged
    )
    assert list(RunMetrics().read(state)) == ["train/loss"]


def test_run_without_accuracy_has_no_chart_of_it():
    epoch = events.EpochFinished(
        epoch=1,
        train_loss=1.0,
        train_accuracy=math.nan,
        val_loss=0.5,
        correct=(),
        total=(),
        train_seconds=1.0,
        val_seconds=1.0,
    )
    state = state_after(started(), prepared(), steps(1, 10), epoch)
    assert list(RunMetrics().read(state)) == ["train/loss", "val/loss", "learning rate"]


def test_epochs_of_unknown_length_end_at_the_steps_of_the_loss():
    state = state_after(started(), steps(1, 40), epoch_finished(1))
    assert list(RunMetrics().read(state)["train/loss"].curve.steps) == [40]
    assert list(RunMetrics().read(state)["val/loss"].curve.steps) == [40]


def test_binned_curves_are_kept_while_the_window_is_the_same():
    curve, cache = Curve([CurvePoint(1, 1.0, 1.0, 1.0)]), BinnedMetrics()
    window = Window(0.0, 10.0, 20)
    first = cache.bin({"x": Metric(curve, 1.0)}, window, 0)["x"]
    curve.add(5, 2.0, 2.0, 2.0)
    assert cache.bin({"x": Metric(curve, 2.0)}, window, 0)["x"] is first
    assert [point.value for point in first.means()] == [1.0, 2.0]
    assert cache.bin({"x": Metric(curve, 2.0)}, Window(0.0, 20.0, 20), 0)["x"] is not first
    assert cache.bin({}, window, 0) == {}
