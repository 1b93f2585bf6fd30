"""Several runs side by side: against SciPy's word for what is chance, and from the shell."""

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
from terminal import cnn_tui

# The test itself.


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


def test_several_are_adjusted_as_holm_does():
    assert holm_adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_adjusted([0.9, 0.8]) == [1.0, 1.0]
    assert holm_adjusted([0.02]) == [0.02]
    assert holm_adjusted([]) == []


def test_equal_models_seldom_seem_to_differ():
    generator = np.random.default_rng(0)
    found = [
        Disagreement(heads, 200 - heads).p_value < 0.05
        for heads in generator.binomial(200, 0.5, size=2000).tolist()
    ]
    assert 0.01 < np.mean(found) <= 0.05


# Runs.


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Three runs: an hour's work, the same longer, and one on other images."""
    where = tmp_path_factory.mktemp("runs")
    return [
        RunForTests(where, "train.epochs=1").train().directory,
        RunForTests(where, "train.epochs=4", "optimizer.lr=0.01").train().directory,
        RunForTests(where, "train.epochs=1", "data.test_fraction=0.3").train().directory,
    ]


def test_figures_settings_classes_and_verdicts(trained):
    found = compare(trained)
    states = [read_state(run)[0] for run in trained]
    assert found.config_differences == {
        "data.test_fraction": (0.2, 0.2, 0.3),
        "optimizer.lr": (0.001, 0.01, 0.001),
        "train.epochs": (1, 4, 1),
    }
    assert [of.metrics.accuracy.correct for of in found.runs] == [
        sum(state.test.correct) for state in states
    ]
    assert list(found.class_accuracies) == list(states[0].prepared.classes)
    assert [rate.correct for rate in found.class_accuracies["3"]] == [
        state.test.correct[3] for state in states
    ]
    better, other = found.verdicts
    assert better.is_significant
    gained = better.disagreement.only_second - better.disagreement.only_first
    assert gained == sum(states[1].test.correct) - sum(states[0].test.correct)
    assert better.p_value == better.disagreement.p_value
    assert other.disagreement is None
    assert "was tested on other images" in other.reason
    assert not other.is_significant


def test_run_compared_with_itself_is_not_significant(trained):
    found = compare([trained[0], trained[0]])
    assert found.config_differences == {}
    assert found.verdicts[0].disagreement == (0, 0)
    assert found.verdicts[0].p_value == 1.0


def test_the_same_files_in_another_size_are_the_same_images(trained, tmp_path):
    larger = RunForTests(tmp_path, "train.epochs=1", "data.image_size=16").train().directory
    found = compare([trained[0], larger])
    assert found.runs[0].predictions.fingerprint != found.runs[1].predictions.fingerprint
    assert found.verdicts[0].disagreement is not None


def test_missing_predictions_are_a_reason(trained, tmp_path):
    untested = golden_run(tmp_path, "stopped", "1-stopped")
    old = golden_run(tmp_path, "completed", "2-old")
    found = compare([trained[0], untested, old])
    assert "has not been tested" in found.verdicts[0].reason
    assert "there is no such file" in found.verdicts[1].reason
    assert "cnn-tui test 2-old" in found.verdicts[1].reason
    assert found.runs[1].metrics is None
    assert all(rates[1] is None for rates in found.class_accuracies.values())
    turned = compare([untested, trained[0]])
    assert turned.verdicts[0].reason.startswith("1-stopped: has not been tested")


def test_a_forged_fingerprint_of_other_images(trained, tmp_path):
    run = RunForTests(tmp_path, "train.epochs=1", "data.test_fraction=0.3").train().directory
    mine = read_state(trained[0])[0].test.fingerprint
    theirs = read_state(run)[0].test.fingerprint
    for path in (run.events, run.path / PREDICTIONS_FILE):
        path.write_text(path.read_text().replace(theirs, mine))
    assert "other images" in compare([trained[0], run]).verdicts[0].reason


# In the shell.


def test_verdict_is_printed_as_text(trained):
    where = trained[0].path.parent
    result = cnn_tui("compare", *(run.id for run in trained), "--runs-dir", where)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
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
        ((12, 9), 1.0, "No difference", "no difference", ""),  # once adjusted
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
def test_the_screen_and_the_shell_conclude_alike(split, p, conclusion, cell, probability):
    verdict = Verdict(disagreement=Disagreement(*split), p_value=p, reason="")
    assert verdict_text("a", "b", verdict, 1).conclusion.startswith(conclusion)
    assert verdict_cell(verdict) == cell
    assert probability_cell(verdict) == probability


def test_two_runs_have_a_column_of_changes(trained, capsys):
    found = compare(trained[:2])
    print_comparison(found)
    before, after = found.class_accuracies["8"]
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("8 "))
    assert line.split()[-1] == f"{100 * (after.fraction - before.fraction):+.2f}"


def test_classes_with_largest_differences_are_listed(trained, capsys):
    found = compare(trained[:2])
    rates = found.class_accuracies["8"]
    equal = {str(name): (rates[0], rates[0]) for name in range(100, 130)}
    print_comparison(dataclasses.replace(found, class_accuracies=equal | {"odd": rates}))
    text = capsys.readouterr().out
    assert "the 20 of 31 that differ most" in text
    assert "odd" in text


def test_as_json(trained):
    where = trained[0].path.parent
    result = cnn_tui("compare", *(run.id for run in trained), "--runs-dir", where, "--json")
    values = json.loads(result.stdout)
    assert values == json.loads(json.dumps(as_dict(compare(trained))))
    assert [of["run_id"] for of in values["runs"]] == [run.id for run in trained]
    assert values["settings"]["train.epochs"] == [1, 4, 1]
    better, other = values["tests"]
    assert better["differs"] is True
    assert better["p"] < 0.05
    assert "other images" in other["reason"]
    assert values["classes"][3]["accuracy"][0]["images"] == 36


def test_one_run_is_not_enough_and_an_unknown_one_is_named(trained):
    where = trained[0].path.parent
    alone = cnn_tui("compare", trained[0].id, "--runs-dir", where)
    assert (alone.returncode, alone.stdout) == (2, "")
    assert "two or more runs" in alone.stderr
    unknown = cnn_tui("compare", trained[0].id, "nope", "--runs-dir", where)
    assert (unknown.returncode, unknown.stdout) == (2, "")


def test_it_needs_no_torch(trained, tmp_path):
    ids = (run.id for run in trained)
    where = str(trained[0].path.parent)
    loaded = loaded_modules(cli_code("compare", *ids, "--runs-dir", where), tmp_path)
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
    found = compare(runs)
    print_comparison(found)
    show_run(runs[0])
    text = capsys.readouterr().out
    assert all(char == "\n" or char.isprintable() for char in text)
    assert "[/nope]" in text
    assert "[/y]" in text
    assert r"[/1]\x1b[2J" in text
    assert r"seed \x1b[3J" in text
    json.dumps(as_dict(found)).encode()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 100_000])
def test_a_damaged_file_is_named_and_the_rest_is_compared(trained, tmp_path, content):
    run = RunForTests(tmp_path, "train.epochs=1").train().directory
    (run.path / PREDICTIONS_FILE).write_bytes(content)
    found = compare([trained[0], run])
    assert str(run.path / PREDICTIONS_FILE) in found.verdicts[0].reason
    assert found.runs[1].metrics.accuracy.images == 359


def test_a_log_of_nothing_is_compared_as_far_as_it_goes(trained, tmp_path, capsys):
    run = golden_run(tmp_path, "completed")
    for lines in itertools.chain(range(0, 40, 3), range(40, 200, 20)):
        golden = golden_run(tmp_path / str(lines), "completed")
        run.events.write_text("\n".join(golden.events.read_text().splitlines()[:lines]))
        print_comparison(compare([trained[0], run]))
    assert "cannot be tested" in capsys.readouterr().out


def test_predictions_of_all_wrong_and_all_right():
    said = Predictions(
        epoch=1,
        fingerprint="",
        names=["a", "b"],
        target=[0, 1],
        predicted=[1, 1],
        confidence=[0.5, 0.6],
        rank=[2, 1],
    )
    assert said.is_correct == [False, True]
    assert said.mistakes() == [0]
