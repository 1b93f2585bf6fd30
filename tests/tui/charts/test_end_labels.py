"""Values at the end of the curves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_tui.charts.axes import MARGIN, fit_scale
from cnn_tui.charts.binning import BinnedCurve, Window
from cnn_tui.charts.end_labels import (
    LABEL_WIDTH,
    EndLabel,
    add_end_labels,
    end_margin,
    short_number,
)
from cnn_tui.charts.loss import ChartView, draw_loss_chart
from event_samples import epoch_finished, prepared, started, state_after, steps


def texts(lines):
    return ["".join(char for char, _ in line).rstrip() for line in lines]


def labelled(labels, rows=5, low=0.0, high=1.0):
    lines = [[(" ", "on $band")] * 10 for _ in range(rows)]
    scale = fit_scale([low, high], rows, log=False)
    add_end_labels(lines, labels, scale, LABEL_WIDTH)
    return lines


@pytest.mark.parametrize("width", [40, 80])
def test_chart_shows_last_losses_if_it_is_wide(width):
    state = state_after(
        started(epochs=4),
        prepared(steps_per_epoch=10),
        *(event for epoch in (1, 2, 3) for event in (steps(epoch, 10), epoch_finished(epoch))),
    )
    margin = end_margin(width)
    bins = BinnedCurve(Window(0, 40, 2 * (width - MARGIN - margin)))
    bins.extend(state.curve)
    lines = draw_loss_chart(state, bins, ChartView(), width, 14)
    val_loss = short_number(state.epochs[-1].val_loss)
    assert any(text.endswith(val_loss) for text in texts(lines)) == (width == 80)
    assert max(len(line) for line in lines) == width


def test_values_stand_behind_the_longest_curve_in_order():
    labels = [EndLabel(3, 0.50, "0.50", "a"), EndLabel(9, 0.51, "0.51", "b")]
    lines = labelled(labels)
    shown = [text for text in texts(lines) if text]
    assert shown == [f"{'0.51':>10}", f"{'0.50':>10}"]
    assert lines[2][6] == ("0", "b on $band")


@given(
    st.lists(
        st.tuples(st.integers(0, 19), st.floats(-0.5, 1.5), st.text("1.9", max_size=12)),
        max_size=4,
    ),
    st.integers(1, 6),
)
def test_labels_never_overlap_or_leave_the_chart(drawn, rows):
    labels = [EndLabel(column, value, text, "x") for column, value, text in drawn]
    lines = labelled(labels, rows)
    assert {len(line) for line in lines} == {10 + LABEL_WIDTH}
    fitting = sorted(text for _, _, text in drawn if 0 < len(text) < LABEL_WIDTH)
    found = sorted(text.strip() for text in texts(lines) if text.strip())
    assert len(found) <= rows
    if len([text for _, _, text in drawn if len(text) < LABEL_WIDTH]) <= rows:
        assert found == fitting
