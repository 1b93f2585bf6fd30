"""The benchmark, briefly and on the bundled digits: its output and its counts."""

import json
import sys
from contextlib import redirect_stdout
from io import StringIO

import pytest

from cnn_engine.benchmarks import bench
from cnn_engine.benchmarks.bench import BenchmarkResult, Rate, _trainers
from cnn_engine.config.presets import load_config
from cnn_engine.data.dataset import load_dataset
from cnn_engine.runs.directory import list_runs
from cnn_engine.storage.locks import is_locked
from cnn_tui.cli.app import main
from cnn_tui.reports.bench import print_measured
from runs_for_tests import SMALL
from terminal import SET_SMALL

MATRIX_SIDE = 256


@pytest.fixture(scope="module")
def measured():
    """Return the JSON output of a short benchmark."""
    options = ["--rounds", "2", "--seconds", "0.1", "--json"]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out:
        patch.setattr(sys, "argv", ["cnn-tui", "bench", "digits", *SET_SMALL, *options])
        patch.setattr(bench, "MATRIX_SIDE", MATRIX_SIDE)
        patch.setattr(bench, "WARM_UP_SECONDS", 0.0)
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code == 0
    return json.loads(out.getvalue())


def test_every_loop_is_measured_in_each_round(measured):
    names = [rate["name"] for rate in measured["rates"]]
    assert names[:2] == ["reference", "fp32"]
    assert names[-1] == measured["precision"]
    assert measured["rounds"] == 2
    for rate in measured["rates"]:
        assert 0 < rate["least"] <= rate["median"] <= rate["most"]
    assert measured["rates"][0]["against_reference"] == 1.0


@pytest.mark.parametrize(
    ("precision", "measured"), [("fp32", ["fp32"]), ("bf16", ["fp32", "bf16"])]
)
def test_requested_precision_is_measured_and_its_logs_are_unlocked(tmp_path, precision, measured):
    config = load_config("digits", [*SMALL, f"train.precision={precision}"])
    data = load_dataset(config.data, 0, lambda *_: None)
    with _trainers(config, data, tmp_path) as trainers:
        assert list(trainers) == measured
        logs = [run.events for run in list_runs(tmp_path)]
        assert [is_locked(log) for log in logs] == [True, True]
    assert [is_locked(log) for log in logs] == [False, False]


def test_flops_are_counted(measured):
    # A 3 by 3 convolution from 1 to 8 channels on 8 by 8 pixels, without the gradient of its input;
    # linear layers from 8·4·4 to 16 to 10, with both gradients. Two operations per multiply-add.
    convolution = 2 * 2 * (9 * 1 * 8 * 8 * 8)
    dense = 3 * 2 * (128 * 16 + 16 * 10)
    assert measured["flops_per_image"] == convolution + dense


def test_fraction_of_matrix_rate_is_plausible(measured):
    # The three medians may come from different rounds, but are close.
    rate = measured["rates"][-1]
    slowest, fastest = (
        rate[end] * measured["flops_per_image"] / measured["matrix_flops"]
        for end in ("least", "most")
    )
    assert 0.2 * slowest < measured["share_of_matrix_rate"] < 5 * fastest
    assert measured["matrix_flops"] > MATRIX_SIDE**3


def test_fractions_of_a_step_sum_to_one(measured):
    assert set(measured["parts"]) == {"data", "forward", "backward", "optimizer", "other"}
    assert sum(measured["parts"].values()) == pytest.approx(1.0)


def test_invalid_batch_size_is_named_in_error(run_cli, tmp_path):
    code, _, error = run_cli("bench", "digits", "--batch-size", "0", cwd=tmp_path)
    assert code == 2
    assert "train.batch_size" in error
    assert "Traceback" not in error


def test_report_shows_rates_and_fractions(capsys):
    rates = (
        Rate(name="reference", median=1_000, least=900, most=1_100, against_reference=1.0),
        Rate(name="bf16", median=3_000, least=2_900, most=3_050, against_reference=3.0),
    )
    print_measured(
        BenchmarkResult(
            source="images in [red]here", image_shape=(3, 32, 32), batch_size=64, device="cpu",
            threads=2, rounds=5, rates=rates, precision="bf16", matrix_flops=400e9,
            flops_per_image=64e6, share_of_matrix_rate=0.48, step_seconds=0.0213,
            parts={"data": 0.02, "forward": 0.34, "backward": 0.6, "optimizer": 0.04},
        )
    )  # fmt: skip
    text = capsys.readouterr().out
    assert "images in [red]here" in text
    assert "3,000  2,900–3,050         3.00×" in text
    assert "400 GFLOP/s" in text
    assert "48%" in text
    assert "backward 60%" in text
