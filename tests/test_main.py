"""The program's first step."""

import pytest

from cnn_tui.main import may_open_dashboard


@pytest.mark.parametrize(
    "line",
    [
        *("", "run", "run digits --epochs 3", "watch latest", "--theme light", "--ascii run"),
        *("compare a b", "import --follow logs"),
    ],
)
def test_what_may_open_a_dashboard_is_supervised(line):
    assert may_open_dashboard(line.split())


@pytest.mark.parametrize(
    "line",
    [
        *("runs", "show", "--theme light runs", "pause latest", "data fetch"),
        *(
            "run --no-ui",
            "run digits --json",
            "watch --no-ui",
            "compare a b --no-ui",
            "--help",
            "run --help",
            "--version",
        ),
    ],
)
def test_what_only_prints_is_not(line):
    assert not may_open_dashboard(line.split())
