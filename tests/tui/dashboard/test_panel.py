"""Panels: what they draw, and when they repaint."""

from textual.app import App
from textual.content import Content

from cnn_tui.dashboard.theme import THEMES
from cnn_tui.dashboard.widgets.panel import LazyLines, Panel, justify, labeled_bar
from pilot import record_repaints, screen_text, settle


class Numbers(Panel[list[int]]):
    """Panel with one line per number, which depends on their sum."""

    TITLE = "Numbers"

    def __init__(self):
        super().__init__()
        self.draw_count = 0

    def depends_on(self, numbers):
        return sum(numbers)

    def draw(self, numbers, width, height):  # noqa: ARG002
        self.draw_count += 1
        return [Content(str(number)) for number in numbers]


class PanelApp(App):
    """App with one panel and no stylesheet."""

    def __init__(self):
        super().__init__()
        theme = next(iter(THEMES.values()))
        self.register_theme(theme)
        self.theme = theme.name

    def compose(self):
        yield Numbers()


async def test_panel_needs_no_stylesheet():
    async with PanelApp().run_test(size=(30, 6)) as pilot:
        pilot.app.query_one(Numbers).show([12, 34])
        await settle(pilot)
        lines = screen_text(pilot.app).splitlines()
    assert lines[0].startswith("╭─ Numbers ─")
    assert lines[1].startswith("│ 12 ")
    assert lines[2].startswith("│ 34 ")
    assert lines[5].startswith("╰──")


async def test_show_draws_only_after_a_change():
    async with PanelApp().run_test(size=(30, 6)) as pilot:
        panel, numbers = pilot.app.query_one(Numbers), [1, 2]
        panel.show(numbers)
        await settle(pilot)
        before = panel.draw_count
        panel.show(numbers)
        assert panel.draw_count == before
        numbers[1] = 5
        panel.show(numbers)
        assert panel.draw_count == before + 1


async def test_only_changed_lines_are_repainted():
    async with PanelApp().run_test(size=(30, 6)) as pilot:
        panel = pilot.app.query_one(Numbers)
        panel.show([1, 2, 3])
        await settle(pilot)
        repaints = record_repaints([panel])
        panel.show([1, 7, 3])
    assert repaints == [1]


def test_lazy_lines_are_created_on_access():
    created = []
    lines = LazyLines(10_000, lambda y: created.append(y) or Content(str(y)))
    assert [line.plain for line in lines[7:9]] == ["7", "8"]
    assert (len(lines), created) == (10_000, [7, 8])


def test_justify_truncates_left_text_first():
    left, right = Content("a long title"), Content("status")
    assert justify(left, right, 20).plain == "a long title  status"
    assert justify(left, right, 10).plain == "a l…status"
    assert justify(left, right, 4).plain == "a l…"


def test_labeled_bar_is_omitted_if_too_narrow():
    assert labeled_bar("cpu ", 0.5, 8, 3).plain == "cpu ━━──"
    assert labeled_bar("cpu ", 0.5, 6, 3).plain == "cpu "
