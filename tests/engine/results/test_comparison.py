"""Comparison of runs: significance tests checked with SciPy, and `cnn-tui compare`."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from scipy.stats import binomtest

from cnn_engine.results.comparison import Verdict, as_dict, compare
from cnn_engine.results.mcnemar import Disagreement, count_disagreements, holm_adjusted
from cnn_engine.results.predictions import PREDICTIONS_FILE, Predictions
from cnn_engine.runlog import events
from cnn_engine.runs.summary import read_state
from cnn_tui.reports.comparison import print_comparison
from cnn_tui.reports.run import show_run
from cnn_tui.text.verdicts import probability_cell, verdict_cell, verdict_text
from fresh_interpreter import TORCH_SIDE, cli_code, loaded_modules
from golden import golden_run, rewrite_events
from runs_for_tests import RunForTests

# Significance tests.


@pytest.mark.parametrize(
    ("first", "second"),
    [(0, 0), (1, 0), (0, 5), (3, 3), (12, 1), (40, 61), (500, 400), (3, 900), (5000, 5201)],
)
def test_p_value_equals_exact_binomial_test(first, second):
    if not first + second:
        assert Disagreement(0, 0).p_value == 1.0
        return
    expected = binomtest(first, first + second, 0.5).pvalue
    assert Disagreement(first, second).p_value == pytest.approx(expected, rel=1e-8)
    assert Disagreement(second, first).p_value == Disagreement(first, second).p_value


def test_p_value_of_many_images_is_fast_and_finite():
    assert Disagreement(200_000, 203_000).p_value == pytest.approx(
        binomtest(200_000, 403_000, 0.5).pvalue, rel=1e-6
    )
    assert Disagreement(0, 10**5).p_value == 0.0


def test_disagreements_count_images_correct_for_one_model():
    first, second = [True, True, False, False, True], [True, False, True, False, False]
    assert count_disagreements(first, second) == Disagreement(only_first=2, only_second=1)


def test_p_values_are_adjusted_by_holms_method():
    assert holm_adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_adjusted([0.9, 0.8]) == [1.0, 1.0]
    assert holm_adjusted([0.02]) == [0.02]
    assert holm_adjusted([]) == []


def test_equal_models_are_rarely_significant():
    generator = np.random.default_rng(0)
    significant = [
        Disagreement(heads, 200 - heads).p_value < 0.05
        for heads in generator.binomial(200, 0.5, size=2000).tolist()
    ]
    assert 0.01 < np.mean(significant) <= 0.05


# Runs.


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train three runs: a short one, a longer one, and one tested on other images."""
    runs_dir = tmp_path_factory.mktemp("runs")
    return [
        RunForTests(runs_dir, "train.epochs=1").train().directory,
        RunForTests(runs_dir, "train.epochs=4", "optimizer.lr=0.01").train().directory,
        RunForTests(runs_dir, "train.epochs=1", "data.test_fraction=0.3").train().directory,
    ]


def test_comparison_has_metrics_settings_classes_and_verdicts(trained):
    comparison = compare(trained)
    states = [read_state(run)[0] for run in trained]
    assert comparison.config_differences == {
        "data.test_fraction": (0.2, 0.2, 0.3),
        "optimizer.lr": (0.001, 0.01, 0.001),
        "train.epochs": (1, 4, 1),
    }
    assert [run.metrics.accuracy.correct for run in comparison.runs] == [
        sum(state.test.correct) for state in states
    ]
    assert list(comparison.class_accuracies) == list(states[0].prepared.classes)
    assert [rate.correct for rate in comparison.class_accuracies["3"]] == [
        state.test.correct[3] for state in states
    ]
    better, other = comparison.verdicts
    assert better.is_significant
    gained = better.disagreement.only_second - better.disagreement.only_first
    assert gained == sum(states[1].test.correct) - sum(states[0].test.correct)
    assert better.p_value == better.disagreement.p_value
    assert other.disagreement is None
    assert "was tested on other images" in other.reason
    assert not other.is_significant


def test_run_compared_with_itself_is_not_significant(trained):
    comparison = compare([trained[0], trained[0]])
    assert comparison.config_differences == {}
    assert comparison.verdicts[0].disagreement == (0, 0)
    assert comparison.verdicts[0].p_value == 1.0


def test_same_files_in_another_size_are_the_same_images(trained, tmp_path):
    larger = RunForTests(tmp_path, "train.epochs=1", "data.image_size=16").train().directory
    comparison = compare([trained[0], larger])
    assert comparison.runs[0].predictions.fingerprint != comparison.runs[1].predictions.fingerprint
    assert comparison.verdicts[0].disagreement is not None


def test_missing_predictions_are_a_reason(trained, tmp_path):
    untested = golden_run(tmp_path, "stopped", "1-stopped")
    old = golden_run(tmp_path, "completed", "2-old")
    comparison = compare([trained[0], untested, old])
    assert "has not been tested" in comparison.verdicts[0].reason
    assert "there is no such file" in comparison.verdicts[1].reason
    assert "cnn-tui test 2-old" in comparison.verdicts[1].reason
    assert comparison.runs[1].metrics is None
    assert all(rates[1] is None for rates in comparison.class_accuracies.values())
    swapped = compare([untested, trained[0]])
    assert swapped.verdicts[0].reason.startswith("1-stopped: has not been tested")


def test_forged_fingerprint_of_other_images_is_detected(trained, tmp_path):
    run = RunForTests(tmp_path, "train.epochs=1", "data.test_fraction=0.3").train().directory
    expected = read_state(trained[0])[0].test.fingerprint
    own = read_state(run)[0].test.fingerprint
    for path in (run.events, run.path / PREDICTIONS_FILE):
        path.write_text(path.read_text().replace(own, expected))
    assert "other images" in compare([trained[0], run]).verdicts[0].reason


# The command.


@pytest.fixture
def compare_command(run_cli, trained):
    """Return a function that runs `compare`: exit code, stdout, stderr."""
    runs_dir = trained[0].path.parent
    return lambda *words: run_cli("compare", *words, "--runs-dir", runs_dir, cwd=runs_dir)


def test_verdict_is_printed_as_text(trained, compare_command):
    code, out, error = compare_command(*(run.id for run in trained))
    assert code == 0, error
    lines = out.splitlines()
    assert any(line.split() == ["train.epochs", "1", "4", "1"] for line in lines)
    assert not any(line.startswith("model.filters") for line in lines)
    better, other = (line for line in lines if "McNemar" in line or "cannot be tested" in line)
    assert f"{trained[1].id} is significantly better than {trained[0].id}" in better
    assert f"{trained[2].id} cannot be tested against {trained[0].id}" in other


@pytest.mark.parametrize(
    ("split", "p", "conclusion", "cell", "probability"),
    [
        ((0, 0), 1.0, "No difference", "no difference", ""),
        ((12, 12), 1.0, "No difference", "no difference", ""),
        ((12, 11), 0.99999, "No difference", "no difference", ""),
        ((12, 9), 1.0, "No difference", "no difference", ""),  # after adjustment
        (
            (3, 1),
            0.625,
            "The difference is not statistically significant",
            "not significant",
            "0.625",
        ),
        ((9, 0), 0.004, "a is significantly better than b", "worse", "0.004"),
        ((0, 9), 0.004, "b is significantly better than a", "better", "0.004"),
    ],
)
def test_verdict_text_matches_verdict_cell(split, p, conclusion, cell, probability):
    verdict = Verdict(disagreement=Disagreement(*split), p_value=p, reason="")
    assert verdict_text("a", "b", verdict, 1).conclusion.startswith(conclusion)
    assert verdict_cell(verdict) == cell
    assert probability_cell(verdict) == probability


def test_two_runs_have_a_column_of_changes(trained, capsys):
    comparison = compare(trained[:2])
    print_comparison(comparison)
    before, after = comparison.class_accuracies["8"]
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("8 "))
    assert line.split()[-1] == f"{100 * (after.fraction - before.fraction):+.2f}"


def test_classes_with_largest_differences_are_listed(trained, capsys):
    comparison = compare(trained[:2])
    rates = comparison.class_accuracies["8"]
    equal = {str(name): (rates[0], rates[0]) for name in range(100, 130)}
    print_comparison(dataclasses.replace(comparison, class_accuracies=equal | {"odd": rates}))
    text = capsys.readouterr().out
    assert "the 20 of 31 that differ most" in text
    assert "odd" in text


def test_comparison_as_json(trained, compare_command):
    values = json.loads(compare_command(*(run.id for run in trained), "--json")[1])
    assert values == json.loads(json.dumps(as_dict(compare(trained))))
    assert [run["run_id"] for run in values["runs"]] == [run.id for run in trained]
    assert values["settings"]["train.epochs"] == [1, 4, 1]
    better, other = values["tests"]
    assert better["differs"] is True
    assert better["p"] < 0.05
    assert "other images" in other["reason"]
    assert values["classes"][3]["accuracy"][0]["images"] == 37


def test_one_run_or_an_unknown_run_is_a_usage_error(trained, compare_command):
    code, out, error = compare_command(trained[0].id)
    assert (code, out) == (2, "")
    assert "two or more runs" in error
    assert compare_command(trained[0].id, "nope")[:2] == (2, "")


def test_compare_imports_no_torch(trained, tmp_path):
    ids = (run.id for run in trained)
    runs_dir = str(trained[0].path.parent)
    loaded = loaded_modules(cli_code("compare", *ids, "--runs-dir", runs_dir), tmp_path)
    assert "cnn_tui.reports.comparison" in loaded
    assert not loaded & (TORCH_SIDE | {"textual"})


def test_hostile_names_are_harmless_text(tmp_path, capsys):
    hostile = ("[red]a", "[/nope]", "\x1b[2Jb", "c\nd", "\u202ee", "é" * 500, "\udcff", "=cmd")

    def change(event):
        match event:
            case events.RunPrepared():
                classes = (*hostile, *event.classes[8:])
                return dataclasses.replace(
                    event, classes=classes, device="\x1b[2J", precision="\x9b"
                )
            case events.RunStarted():
                config = event.config | {"x\x1b[2J": {"[/y]": hostile}}
                config["train"] = event.config["train"] | {"seed": "\x1b[3J"}
                return dataclasses.replace(event, name="\x1b]0;x\x07", config=config)
        return event

    runs = [
        rewrite_events(golden_run(tmp_path, "completed", "[/1]\x1b[2J"), change),
        golden_run(tmp_path, "completed", "2-good"),
    ]
    comparison = compare(runs)
    print_comparison(comparison)
    show_run(runs[0])
    text = capsys.readouterr().out
    assert all(char == "\n" or char.isprintable() for char in text)
    assert "[/nope]" in text
    assert "[/y]" in text
    assert r"[/1]\x1b[2J" in text
    assert r"seed \x1b[3J" in text
    json.dumps(as_dict(comparison)).encode()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 100_000])
def test_damaged_predictions_are_named_and_the_rest_is_compared(trained, tmp_path, content):
    run = RunForTests(tmp_path, "train.epochs=1").train().directory
    (run.path / PREDICTIONS_FILE).write_bytes(content)
    comparison = compare([trained[0], run])
    assert str(run.path / PREDICTIONS_FILE) in comparison.verdicts[0].reason
    assert comparison.runs[1].metrics.accuracy.images == 359


def test_every_prefix_of_a_log_is_compared(trained, tmp_path, capsys):
    run = golden_run(tmp_path, "completed")
    for lines in itertools.chain(range(0, 40, 3), range(40, 200, 20)):
        golden = golden_run(tmp_path / str(lines), "completed")
        run.events.write_text("\n".join(golden.events.read_text().splitlines()[:lines]))
        print_comparison(compare([trained[0], run]))
    assert "cannot be tested" in capsys.readouterr().out


def test_predictions_know_their_mistakes():
    predictions = Predictions(
        epoch=1,
        fingerprint="",
        names=["a", "b"],
        target=[0, 1],
        predicted=[1, 1],
        confidence=[0.5, 0.6],
        rank=[2, 1],
    )
    assert predictions.is_correct == [False, True]
    assert predictions.mistakes() == [0]
