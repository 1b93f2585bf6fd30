"""Numbers, durations and names as text."""

import math

import pytest

from cnn_tui.charts.blocks import bar, sparkline
from cnn_tui.text.numbers import bytes_text, decimal, duration, percent, rate, ratio
from cnn_tui.text.safe import safe_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (8.4, "0:08"), (161, "2:41"), (3723, "1:02:03"), (-5, "0:00"), (59.6, "1:00")],
)
def test_duration_has_minutes_and_hours(seconds, text):
    assert duration(seconds) == text


def test_percent_decimal_and_ratio():
    assert percent(0.746) == "74.6%"
    assert decimal(0.71271) == "0.7127"
    assert decimal(None) == "–"
    assert decimal(math.nan) == "nan"
    assert ratio(0, 0) == 0.0


def test_bytes_have_three_significant_digits():
    sizes = 0, 999, 1500, 999_600, 184_300_000, 2.5e12
    assert list(map(bytes_text, sizes)) == ["0 B", "999 B", "1.5 kB", "1 MB", "184 MB", "2.5 TB"]


def test_rate_has_three_significant_digits_and_no_exponent():
    rates = 0.2512, 10.74, 99.96, 1187.2, 4000, 123_456
    assert list(map(rate, rates)) == ["0.251", "10.7", "100", "1,190", "4,000", "123,000"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plane", "plane"),
        ("chat à l'été 🐈", "chat à l'été 🐈"),
        ("a\x1b]0;title\x07b", r"a\x1b]0;title\x07b"),
        ("\x1b[2J", r"\x1b[2J"),
        ("c1 \x9b31m", r"c1 \x9b31m"),
        ("new\nline", r"new\nline"),
        ("\u202eevil", r"\u202eevil"),
        ("lone \ud800", r"lone \ud800"),
        ("[/nope]", "[/nope]"),
        ("x" * 500, "x" * 79 + "…"),
    ],
)
def test_safe_text_escapes_control_characters(name, expected):
    assert safe_text(name) == expected
    assert len(safe_text(name)) <= 80


def test_bar_is_split_in_half_cells():
    assert bar(0.0, 4) == ("", "────")
    assert bar(0.5, 4) == ("━━", "──")
    assert bar(0.625, 4) == ("━━╸", "─")
    assert bar(1.0, 4) == ("━━━━", "")
    assert bar(7.0, 4) == ("━━━━", "")


def test_sparkline_scales_values_and_skips_non_finite():
    assert sparkline([0, 1, 2, 3], 4) == "▁▃▆█"
    assert sparkline([9, 0, 7], 2) == "▁█"
    assert sparkline([0, math.nan, 1], 3) == "▁ █"
    assert sparkline([math.inf, 1, 1], 3) == " ▁▁"
    assert sparkline([math.nan], 3) == " "
    assert sparkline([], 3) == ""
