"""The view of the classes: matrix as a heat map, and the selected class."""

import pytest
from rich.color import Color

from cnn_engine.runs.summary import read_state
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.class_results import latest_results
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.theme import THEMES
from cnn_tui.dashboard.widgets.classes.class_details import ClassDetails
from cnn_tui.dashboard.widgets.classes.class_panel import ClassSelection
from cnn_tui.dashboard.widgets.classes.confusion_matrix import (
    CONFUSED_SHADES,
    CORRECT_SHADES,
    ConfusionMatrix,
    shade,
)
from cnn_tui.pictures.colors import nearest_256
from event_samples import epoch_finished, prepared, started, state_after
from golden import golden_run
from pilot import press, screen_text, settle

pytestmark = pytest.mark.usefixtures("fixed_time")


def test_shades_follow_the_fraction():
    assert [shade(part, CORRECT_SHADES) for part in (0.0, 0.3, 0.95)] == [0, 1, 4]
    assert [shade(part, CONFUSED_SHADES) for part in (0.0, 0.05, 0.3)] == [0, 1, 4]


def color_256(name):
    return nearest_256(*Color.parse(name).triplet)


@pytest.mark.parametrize(
    "theme", [theme for theme in THEMES.values() if not theme.ansi], ids=lambda theme: theme.name
)
@pytest.mark.parametrize(
    ("kind", "thresholds"), [("correct", CORRECT_SHADES), ("confused", CONFUSED_SHADES)]
)
def test_shades_are_colours_of_their_own_with_256_colours(theme, kind, thresholds):
    shades = [theme.variables[f"{kind}-{level}"] for level in range(1, len(thresholds) + 1)]
    indices = [color_256(shade) for shade in shades]
    assert color_256(theme.background) not in indices
    assert len(set(indices)) >= len(thresholds) - 1


def matrix_rows(state, *, in_percent):
    matrix, results = ConfusionMatrix(), latest_results(state)
    order = tuple(range(len(results.names)))
    matrix.set_reactive(
        ConfusionMatrix.selection, ClassSelection(order, "as given", 0, 0, in_percent)
    )
    lines = matrix.result_lines(results, 70, len(order) + 2)
    return [line.plain.split()[1:] for line in lines[1:-1]]


def test_matrix_shows_counts_or_percent_of_the_true_class():
    epoch = epoch_finished(1, confusion=((0, 1, 5), (1, 0, 1)))  # 5 and 9 of 10 are correct
    state = state_after(started(epochs=2), prepared(classes=("cat", "dog")), epoch)
    assert matrix_rows(state, in_percent=False) == [["5", "5"], ["1", "9"]]
    assert matrix_rows(state, in_percent=True) == [["50", "50"], ["10", "90"]]


async def test_percent_key_switches_the_matrix(tmp_path):
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2")
        counts = screen_text(app)
        await press(pilot, "%")
        assert screen_text(app) != counts
        await press(pilot, "%")
        assert screen_text(app) == counts


async def test_selected_class_is_described(tmp_path):
    run = golden_run(tmp_path, "completed")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", "down")
        await settle(pilot)
        details = app.screen.query_one(ClassDetails)
        name = read_state(run)[0].classes[1]
        text = screen_text(app)
        assert details.border_title == name
        assert f"{name} predicted as" in text
        assert f"predicted as {name}" in text
        assert "validation" in text
