"""Values and tables in both the HTML and the Markdown report."""

from cnn_engine.results.metrics import metrics_of
from cnn_tui.exports.html_report import write_html
from cnn_tui.exports.markdown import write_markdown
from cnn_tui.text.metrics import bin_cells, class_cells, filled_bins, metric_rows
from cnn_tui.text.shell import command_for
from exports_for_tests import Page, export_text, with_environment


def test_reports_contain_all_metrics_of_the_final_test(tested):
    page, text = Page(export_text(write_html, tested)), export_text(write_markdown, tested)
    classes, test = tested.classes, tested.state.test
    run_metrics = metrics_of(test, tested.state.prepared)
    cells = [cell for row in metric_rows(run_metrics, classes) for cell in row]
    cells += [cell for row in run_metrics.classes for cell in class_cells(row)]
    cells += [cell for row in filled_bins(run_metrics) for cell in bin_cells(row)]
    assert len(cells) > 50
    for cell in filter(None, cells):
        assert cell in page.texts
        assert cell in text
    for heading in ("Test", "Classes", "Calibration", "Most confused"):
        assert heading in page.texts
        assert f"## {heading}" in text


def test_reports_contain_command_line_and_environment(tested):
    page, text = Page(export_text(write_html, tested)), export_text(write_markdown, tested)
    repeat = command_for("run --like", tested.run)
    command = "cnn-tui run 'my config'"
    for expected in (command, "/some <b>where", "0123abcd with changes", "9f8e7d", repeat):
        assert expected in page.texts
        assert expected in text
    unchanged = export_text(write_markdown, with_environment(tested.run, {"revision": "0123abcd"}))
    assert "`0123abcd without changes`" in unchanged
