"""Facts and tables that all reports contain."""

from cnn_engine.results.metrics import metrics_of
from cnn_tui.exports.html_report import write_html
from cnn_tui.exports.markdown import write_markdown
from cnn_tui.text.metrics import bin_cells, class_cells, filled_bins, metric_rows
from cnn_tui.text.shell import command_for
from exports_for_tests import Page, export_text, with_environment


def test_reports_have_all_metrics_of_the_final_test(tested):
    page, text = Page(export_text(write_html, tested)), export_text(write_markdown, tested)
    classes, test = tested.classes, tested.state.test
    figures = metrics_of(test, tested.state.prepared)
    cells = [cell for row in metric_rows(figures, classes) for cell in row]
    cells += [cell for metrics in figures.classes for cell in class_cells(metrics)]
    cells += [cell for row in filled_bins(figures) for cell in bin_cells(row)]
    assert len(cells) > 50
    for cell in filter(None, cells):
        assert cell in page.texts
        assert cell in text
    for heading in ("Test", "Classes", "Calibration", "Most confused"):
        assert heading in page.texts
        assert f"## {heading}" in text


def test_reports_have_command_line_and_environment(tested):
    page, text = Page(export_text(write_html, tested)), export_text(write_markdown, tested)
    like = command_for("run --like", tested.run)
    texts = ["cnn-tui run 'my config'", "/some <b>where", "0123abcd with changes", "9f8e7d", like]
    for expected in texts:
        assert expected in page.texts
        assert expected in text
    clean = export_text(write_markdown, with_environment(tested.run, {"revision": "0123abcd"}))
    assert "`0123abcd without changes`" in clean
