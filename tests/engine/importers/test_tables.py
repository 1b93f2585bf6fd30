"""Import of CSV logs: epochs, curves, malformed rows."""

import json
import math
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_engine.errors import ConfigError, DataError
from cnn_engine.importers.importer import Importer
from cnn_engine.importers.open import open_source
from cnn_engine.importers.rows import RowReader
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.summary import read_state, read_summary
from imports_for_tests import KERAS, LIGHTNING, import_text, notices_of


def test_table_of_epochs_becomes_epochs(tmp_path):
    state, damaged = read_state(import_text(tmp_path, KERAS))
    assert damaged == 0
    assert [epoch.val_loss for epoch in state.epochs] == [1.8, 1.4]
    assert [epoch.train_loss for epoch in state.epochs] == [2.1, 1.5]
    assert [epoch.train_accuracy for epoch in state.epochs] == [0.3, 0.5]
    assert [epoch.val_accuracy for epoch in state.epochs] == [0.4, 0.55]
    assert list(state.curve.steps) == [1, 2]
    assert (state.steps_per_epoch, state.best.epoch) == (1, 2)


def test_epochs_of_a_table_of_steps_end_at_validations(tmp_path):
    run = import_text(tmp_path, LIGHTNING)
    state, _ = read_state(run)
    assert state.steps_per_epoch == 100
    assert list(state.curve.steps) == [50, 100, 150, 200]
    assert [epoch.train_loss for epoch in state.epochs] == [2.0, pytest.approx(1.65)]
    assert [epoch.val_accuracy for epoch in state.epochs] == [0.4, 0.5]
    assert state.lr == 0.002
    assert notices_of(run) == [
        "train_loss is used as training loss",
        "val_loss is used as validation loss",
        "val_acc is used as validation accuracy",
        "lr-Adam is used as learning rate",
    ]


def test_losses_without_steps_become_a_curve(tmp_path):
    run = import_text(tmp_path, "loss\n3\n2\n\n1\nnan\n")
    state, _ = read_state(run)
    assert list(state.curve.steps) == [1, 2, 3, 4]
    assert list(state.curve.losses)[:3] == [3.0, 2.0, 1.0]
    assert math.isnan(state.curve.losses[3])
    assert state.epochs == []


def test_unknown_values_are_absent(tmp_path):
    run = import_text(tmp_path, KERAS)
    state, _ = read_state(run)
    assert (state.prepared, state.config, state.test, state.lr) == (None, {}, None, None)
    assert state.images_per_second is None
    summary = read_summary(run)
    assert (summary.device, summary.precision, summary.train_images) == ("", "", 0)
    only_losses = import_text(tmp_path, "loss,val_loss\n2,1\n1,1\n")
    assert read_summary(only_losses).best_val_accuracy is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "contains no values"),
        ("epoch,loss\n", "contains no values"),
        ("1,2\n3,4\n", "first line must name the columns"),
        ("loss\nmany\n", "contains no values"),
        (b"\x00\x01\x02\n" * 10, "is not a CSV file"),
    ],
)
def test_table_without_losses_is_refused(tmp_path, text, problem):
    with pytest.raises(DataError, match=problem):
        import_text(tmp_path, text)


def test_malformed_rows_are_counted_and_an_earlier_step_replaces_later_ones(tmp_path):
    (tmp_path / "log.csv").write_text("step;loss\n1;3\n2;2;7\n3;1\n3;0.9\n")
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(tmp_path / "log.csv"), run)
    importer.poll()
    with (tmp_path / "log.csv").open("a") as log:
        log.write("2;9\n4;0.5\n")
    importer.poll()
    importer.close(ended=True)
    state, _ = read_state(run)
    assert list(state.curve.steps) == [1, 2, 4]
    assert list(state.curve.losses) == [3.0, 9.0, 0.5]
    assert notices_of(run)[-2:] == [
        "1 row has more or fewer cells than the header of log.csv and is left out",
        "2 values were replaced by later ones of the same or an earlier step",
    ]


def test_missing_source_is_named_in_error(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        open_source(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a regular file"):
        open_source(tmp_path / "pipe")
    with pytest.raises(DataError, match="contains no TensorBoard event files"):
        open_source(tmp_path)


def test_lines_that_are_not_json_are_counted(tmp_path):
    """A job that was killed leaves a last line that is cut off."""
    text = '{"step": 1, "loss": 3}\nWARNING: slow\n{"step": 2, "loss": 2}\n{"step": 3, "lo'
    run = import_text(tmp_path, text, "lines.jsonl")
    assert list(read_state(run)[0].curve.steps) == [1, 2]
    assert notices_of(run)[-1] == "2 lines of lines.jsonl are not valid JSON and are left out"


TWO_EPOCHS = [{"loss": 1.9, "val_loss": 1.6}, {"loss": 1.2, "val_loss": 1.1}]
COLUMNS = {"loss": [1.9, 1.2], "val_loss": [1.6, 1.1]}


@pytest.mark.parametrize(
    "content",
    [
        {"history": COLUMNS},
        {"args": {"lr": 0.1}, "result": {"history": COLUMNS}},
        {"train": {"loss": [1.9, 1.2]}, "val": {"loss": [1.6, 1.1]}},
        {str(index): row for index, row in enumerate(TWO_EPOCHS)},
        {f"epoch_{index}": row for index, row in enumerate(TWO_EPOCHS, 1)},
        {"name": "x", "epochs": {str(index): row for index, row in enumerate(TWO_EPOCHS, 9)}},
        {name: dict(zip("01", values, strict=True)) for name, values in COLUMNS.items()},
        [{"train": {"loss": row["loss"]}, "val": {"loss": row["val_loss"]}} for row in TWO_EPOCHS],
    ],
    ids=str,
)
def test_nested_json_is_read(tmp_path, content):
    """Histories are saved within other objects, and by pandas' `to_json` in either orientation."""
    texts = [json.dumps(content)]
    if isinstance(content, list):
        texts.append("\n".join(map(json.dumps, content)))
    for text in texts:
        state, _ = read_state(import_text(tmp_path, text, "log.json"))
        assert [epoch.train_loss for epoch in state.epochs] == [1.9, 1.2]
        assert [epoch.val_loss for epoch in state.epochs] == [1.6, 1.1]


def test_rows_by_index_keep_their_own_epochs(tmp_path):
    rows = {"10": {"epoch": 2, "loss": 1.2}, "9": {"epoch": 1, "loss": 1.9}}
    state, _ = read_state(import_text(tmp_path, json.dumps(rows)))
    assert [(epoch.epoch, epoch.train_loss) for epoch in state.epochs] == [(1, 1.9), (2, 1.2)]
    line = {"loss": 1.5, "rates": [0.1, 0.2], "accuracies": {"0": 0.5, "1": 0.6}}
    state, _ = read_state(import_text(tmp_path, json.dumps(line)))
    assert list(state.curve.losses) == [1.5]


NAMES = st.sampled_from(["loss", "val_loss", "epoch", "step", "time", "0", "7", "epoch_1", ""])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@settings(deadline=None, max_examples=100)
@given(
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_json_is_rows_of_cells(parsed):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "log.json"
        path.write_text(json.dumps([parsed] if not isinstance(parsed, list | dict) else parsed))
        for row in RowReader(path).read(whole=True):
            assert all(isinstance(cell, str) for cell in row.values())


@pytest.mark.parametrize(
    "text",
    [
        "epoch|loss|val_loss\n1|1.9|1.6\n2|1.2|1.1\n",
        "| epoch | loss | val_loss |\n|---|:-:|--:|\n| 1 | 1.9 | 1.6 |\n| 2 | 1.2 | 1.1 |\n",
        "+---+---+---+\n| epoch | loss | val_loss |\n+===+===+===+\n| 1 | 1.9 | 1.6 |\n"
        "| 2 | 1.2 | 1.1 |\n+---+---+---+\n",
        " epoch | loss | val_loss\n-------+------+----------\n 1 | 1.9 | 1.6\n 2 | 1.2 | 1.1\n",
    ],
)
def test_table_with_vertical_bars_is_read(tmp_path, text):
    run = import_text(tmp_path, text)
    assert [epoch.val_loss for epoch in read_state(run)[0].epochs] == [1.6, 1.1]
    assert not any("left out" in notice for notice in notices_of(run))


@pytest.mark.parametrize(
    ("text", "steps", "losses"),
    [
        ('step,loss\n"1,000",1\n"2,000",0.5\n', [1000, 2000], [1, 0.5]),
        ("step;loss\n1,000;1\n2,000;0,5\n", [1000, 2000], [1, 0.5]),
        ('step,loss\n1,"2,250"\n2,"1,125.5"\n3,0.5\n', [1, 2, 3], [2250, 1125.5, 0.5]),
        ('step,loss\n1,"2,250"\n2,"0,500"\n', [1, 2], [2.25, 0.5]),
        ("step;loss\n1;2,250\n2;1,500\n", [1, 2], [2.25, 1.5]),
        ('step,loss\n1,"1,000,000"\n', [1], [1e6]),
    ],
)
def test_comma_between_thousands_and_decimal_comma_are_told_apart(tmp_path, text, steps, losses):
    curve = read_state(import_text(tmp_path, text))[0].curve
    assert list(curve.steps) == steps
    assert list(curve.losses) == losses


@pytest.mark.parametrize(
    "cell",
    [
        "tensor(0.9, device='cuda:0')",
        "tensor(0.9, grad_fn=<NllLossBackward0>)",
        "tensor([0.9], dtype=torch.float64)",
        "np.float32(0.9)",
        "array(0.9)",
        "[0.9]",
    ],
)
def test_numbers_within_python_objects_are_read(tmp_path, cell):
    """A loss that was logged without `.item()` is a tensor."""
    run = import_text(tmp_path, f'step,train_loss\n1,"{cell}"\n')
    assert list(read_state(run)[0].curve.losses) == [0.9]
    assert notices_of(run) == ["train_loss is used as training loss"]


def test_columns_with_cells_that_are_not_numbers_are_named(tmp_path):
    rows = '1,abc,0.5,x\n2,1.5,-,y\n3,"tensor([1, 2])",None,\nfour,1,0.4,\n'
    run = import_text(tmp_path, "step,train_loss,val_loss,note\n" + rows)
    assert notices_of(run)[-3:] == [
        "train_loss: 2 cells are not numbers, such as 'abc'",
        "note: 2 cells are not numbers, such as 'x'",
        "step: 1 cell is not a number, such as 'four'",
    ]
    with pytest.raises(DataError, match="contains no values; loss: 1 cell is not a number"):
        import_text(tmp_path, "loss\nmany\n")


def test_epochs_without_validation_count_also_at_the_end(tmp_path):
    """Early values may be all that is validated; the epochs go on."""
    history = {"loss": [1, 0.9, 0.8], "val_loss": [1.1]}
    found = []
    for text in (json.dumps(history), "loss,val_loss\n1,1.1\n0.9,\n0.8,\n"):
        state, _ = read_state(import_text(tmp_path, text))
        found.append([(epoch.epoch, epoch.train_loss) for epoch in state.epochs])
        assert [epoch.epoch for epoch in state.validated_epochs] == [1]
    assert found == 2 * [[(1, 1.0), (2, 0.9), (3, 0.8)]]
    steps, _ = read_state(import_text(tmp_path, "loss,val_loss\n4,\n3,2\n2,\n1,1.5\n0,\n"))
    assert [epoch.epoch for epoch in steps.epochs] == [1, 2]
    sanity, _ = read_state(import_text(tmp_path, "step,loss,val_loss\n0,,4\n1,3,\n2,2,\n"))
    assert [epoch.epoch for epoch in sanity.epochs] == [1]


NO_ROLE = "No series is clearly a loss or an accuracy; --role ROLE=SERIES chooses one"


@pytest.mark.parametrize(
    ("text", "series"),
    [
        ("epoch,lr\n0,0.1\n1,0.01\n", {"lr": [(1, 0.1), (2, 0.01)]}),
        ("step,accuracy\n1,0.5\n2,0.75\n", {"accuracy": [(1, 0.5), (2, 0.75)]}),
        ("step,fid\n-5,9\n7,nan\n8,3\n", {"fid": [(0, 9), (12, math.nan), (13, 3)]}),
        ("my quantity\n2\n1\n", {"my quantity": [(1, 2), (2, 1)]}),
        ("step 1 2\n1 2 9\n2 1 9\n", {"1": [(1, 2), (2, 1)], "2": [(1, 9), (2, 9)]}),
    ],
)
def test_log_without_loss_is_a_run_with_series_only(tmp_path, text, series):
    run = import_text(tmp_path, text)
    state, damaged = read_state(run)
    assert {name: values.curve.steps.tolist() for name, values in state.series.items()} == {
        name: [step for step, _ in points] for name, points in series.items()
    }
    for name, points in series.items():
        means = [mean for _, mean in points]
        assert state.series[name].curve.losses.tolist() == pytest.approx(means, nan_ok=True)
    assert (len(state.curve), state.epochs, damaged) == (0, [], 0)
    assert state.steps_done == max(step for points in series.values() for step, _ in points)
    assert notices_of(run)[-1] == NO_ROLE


def test_config_is_no_log(tmp_path):
    with pytest.raises(DataError, match="is a single JSON object without a loss or an accuracy"):
        import_text(tmp_path, '{"lr": 0.1, "name": "x"}')


@pytest.mark.parametrize(
    "rows",
    [
        "epoch,loss,val_loss\n3,1.0,1.1\n2,1.5,1.6\n1,2.0,2.1\n",
        "epoch,loss,val_loss\n3,,1.1\n3,1.0,\n2,,1.6\n2,1.5,\n1,,2.1\n1,2.0,\n",
        "time,epoch,loss,val_loss\n2026-01-03,,1.0,1.1\n2026-01-02,,1.5,1.6\n2026-01-01,,2.0,2.1\n",
        '[{"epoch":3,"loss":1.0,"val_loss":1.1},{"epoch":2,"loss":1.5,"val_loss":1.6},'
        '{"epoch":1,"loss":2.0,"val_loss":2.1}]',
    ],
)
def test_table_with_the_newest_row_first_is_read_in_reverse(tmp_path, rows):
    run = import_text(tmp_path, rows)
    state, _ = read_state(run)
    assert [epoch.val_loss for epoch in state.epochs] == [2.1, 1.6, 1.1]
    assert list(state.curve.losses) == [2.0, 1.5, 1.0]
    assert notices_of(run)[-1] == "log.csv begins with the newest row; it is read in reverse"


@pytest.mark.parametrize(
    "text",
    [
        "Epoch: 1/2 | Train Loss: 0.5\nEpoch: 2/2 | Train Loss: 0.4\n",
        "Epoch 1, loss: 0.5\nEpoch 2, loss: 0.4\n",
        "Epoch 1 loss 0.5\nEpoch 2 loss 0.4\n",
        "epoch=1 loss=0.5\nepoch=2 loss=0.4\n",
        "Epoch 1/2\n1875/1875 [====] - 3s 2ms/step - loss: 0.5\nEpoch 2/2\n",
        "Files already downloaded and verified\n[1,  2000] loss: 2.2\n[1,  4000] loss: 1.8\n",
        "2026-01-01 12:00:00,123 INFO loss 0.5\n2026-01-01 12:00:01,123 INFO loss 0.4\n",
        "Using device: cuda\n",
    ],
)
def test_text_is_refused_as_no_table(tmp_path, text):
    """Output of a training script may be taken for a log."""
    problem = "log.csv: is not a table; expected CSV, JSON or TensorBoard events$"
    with pytest.raises(DataError, match=problem):
        import_text(tmp_path, text)
