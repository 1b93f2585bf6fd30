"""Import of logs as well-known programs write them.

Columns and formats are those of Ultralytics 8.4 and 8.0, fastai 2.8, timm 1.0 and Trackio 0.43,
whose own functions were run to see them, and of charts exported from W&B in public repositories.
"""

import json
import math
from pathlib import Path

import pytest

from cnn_engine.errors import ConfigError, DataError
from cnn_engine.importers.importer import Importer
from cnn_engine.importers.open import open_source
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.summary import read_state
from imports_for_tests import KERAS, LIGHTNING, EventFile, import_run, import_text, notices_of


def ultralytics_8_0(text):
    """Return a log as Ultralytics 8.0 to 8.2 write it: padded, and without the time."""
    rows = [line.split(",") for line in text.splitlines()]
    return "".join(",".join(f"{cell:>23}" for cell in [row[0], *row[2:]]) + "\n" for row in rows)


ULTRALYTICS = (
    "epoch,time,train/loss,metrics/accuracy_top1,metrics/accuracy_top5,val/loss,"
    "lr/pg0,lr/pg1,lr/pg2\n"
    "1,9.13617,1.9,0.41,0.9,1.6,0.01,0.01,0.01\n2,18.2466,1.2,0.63,0.97,1.1,0.01,0.01,0.01\n"
)
ULTRALYTICS_DETECTOR = (
    "epoch,time,train/box_loss,train/cls_loss,train/dfl_loss,metrics/precision(B),"
    "metrics/recall(B),metrics/mAP50(B),metrics/mAP50-95(B),val/box_loss,val/cls_loss,"
    "val/dfl_loss,lr/pg0,lr/pg1,lr/pg2\n"
    "1,5.2,4,3,1,0.5,0.4,0.5,0.3,2,1,1,0.1,0.2,0.2\n2,9.8,3,2,1,0.6,0.5,0.6,0.4,1,0,1,0,0,0\n"
)
FASTAI = (
    "epoch,train_loss,valid_loss,accuracy,error_rate,time\n"
    "0,1.9,1.6,0.4099999964237213,0.5900000333786011,00:12\n"
    "1,1.2,1.1,0.6299999952316284,0.3700000047683716,1:00:11\n"
)
TIMM = (
    "epoch,train_loss,eval_loss,eval_top1,eval_top5,lr\r\n"
    "0,1.9,1.6,41.0,90.0,0.01\r\n1,1.2,1.1,63.0,97.0,0.01\r\n"
)
PYTORCH_CLASSIFICATION = (
    "Learning Rate\tTrain Loss\tValid Loss\tTrain Acc.\tValid Acc.\t\n"
    "0.1\t1.9\t1.6\t30.0\t41.0\t\n0.1\t1.2\t1.1\t50.0\t63.0\t\n"
)
GERMAN = "epoch;train_loss;val_loss;val_acc\n1;1,9;1,6;41,0 %\n2;1,2;1,1;63,0 %\n"
PHASES = "epoch,phase,loss,acc\n0,train,1.9,0.3\n0,val,1.6,0.41\n1,train,1.2,0.5\n1,val,1.1,0.63\n"
PANDAS = ",train_loss,val_loss,val_accuracy\n0,1.9,1.6,0.41\n1,1.2,1.1,0.63\n"
DEIT = "".join(
    json.dumps({"train_loss": train, "test_loss": val, "test_acc1": acc, "epoch": epoch}) + "\n"
    for epoch, (train, val, acc) in enumerate([(1.9, 1.6, 41.0), (1.2, 1.1, 63.0)])
)
KERAS_HISTORY = json.dumps(
    {"loss": [1.9, 1.2], "val_loss": [1.6, 1.1], "val_accuracy": [0.41, 0.63]}, indent=1
)
HUGGING_FACE = json.dumps(
    {
        "best_metric": 1.1,
        "log_history": [
            {"epoch": 0.5, "loss": 1.9, "learning_rate": 1e-5, "step": 10},
            {"epoch": 1.0, "eval_loss": 1.6, "eval_accuracy": 0.41, "step": 20},
            {"epoch": 1.5, "loss": 1.2, "learning_rate": 5e-6, "step": 30},
            {"epoch": 2.0, "eval_loss": 1.1, "eval_accuracy": 0.63, "step": 40},
            {"epoch": 2.0, "step": 40, "train_loss": 1.55, "train_runtime": 9.0},
        ],
    },
    indent=2,
)
LIGHTNING_SUFFIXES = (
    "epoch,step,train_loss_epoch,train_loss_step,val_acc,val_loss\n"
    "0,9,,1.9,,\n0,9,,,0.41,1.6\n0,9,1.9,,,\n1,19,,1.2,,\n1,19,,,0.63,1.1\n1,19,1.2,,,\n"
)
MMCLASSIFICATION = "".join(
    json.dumps(row) + "\n"
    for row in (
        {"env_info": "sys.platform: linux", "seed": 0},
        {"mode": "train", "epoch": 1, "iter": 50, "lr": 0.1, "loss": 1.9, "time": 0.3},
        {"mode": "val", "epoch": 1, "iter": 10, "accuracy_top-1": 41.0, "loss": 1.6},
        {"mode": "train", "epoch": 2, "iter": 50, "lr": 0.1, "loss": 1.2, "time": 0.2},
        {"mode": "val", "epoch": 2, "iter": 10, "accuracy_top-1": 63.0, "loss": 1.1},
    )
)
MMENGINE = "".join(
    json.dumps(row) + "\n"
    for row in (
        {"lr": 0.1, "loss": 1.9, "epoch": 1, "iter": 50, "step": 50},
        {"accuracy/top1": 41.0, "val/loss": 1.6, "step": 1},
        {"lr": 0.1, "loss": 1.2, "epoch": 2, "iter": 100, "step": 100},
        {"accuracy/top1": 63.0, "val/loss": 1.1, "step": 2},
    )
)


def wandb_chart(axis, columns):
    """Return a chart exported from W&B: an axis, and values by `RUN - NAME`."""
    header = [axis] + [name + end for name in columns for end in ("", "__MIN", "__MAX")]
    rows = [
        [row] + [cell for cell in cells for _ in range(3)]
        for row, cells in enumerate(zip(*columns.values(), strict=True), 1)
    ]
    return "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in [header, *rows])


WANDB = {
    "big-sun-3 - train_loss": [1.9, 1.2],
    "big-sun-3 - val_loss": [1.6, 1.1],
    "big-sun-3 - val_acc": [0.41, 0.63],
}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results.csv", ULTRALYTICS),
        ("results.csv", ultralytics_8_0(ULTRALYTICS)),
        ("results.csv", ultralytics_8_0(ULTRALYTICS.replace("\n1", "\n0").replace("\n2", "\n1"))),
        ("history.csv", FASTAI),
        ("summary.csv", TIMM),
        ("log.txt", PYTORCH_CLASSIFICATION),
        ("log.csv", GERMAN),
        ("log.csv", PHASES),
        ("log.csv", PANDAS),
        ("log.txt", DEIT),
        ("history.json", KERAS_HISTORY),
        ("trainer_state.json", HUGGING_FACE),
        ("metrics.csv", LIGHTNING_SUFFIXES),
        ("wandb.csv", wandb_chart("Step", WANDB)),
        ("wandb.csv", wandb_chart("train/global_step", WANDB)),
        ("wandb.csv", wandb_chart("epoch", WANDB | {"big-sun-3 - _step": [100, 200]})),
        ("20261128.log.json", MMCLASSIFICATION),
        ("scalars.json", MMENGINE),
        ("log.csv", FASTAI.replace("\n", "\r\n")),
        ("log.csv", "\ufeff" + FASTAI),
        ("log.csv", FASTAI.encode("utf-16")),
        ("log.csv", "sep=;\n" + FASTAI.replace(",", ";")),
        ("log.csv", FASTAI.replace(",", "\t").rstrip()),
        ("log.csv", '"' + FASTAI.replace(",", '","').replace("\n", '"\n"')[:-1]),
        ("log.txt", "# epoch train_loss val_loss val_acc\n0 1.9 1.6 0.41\n1 1.2 1.1 0.63\n"),
    ],
)
def test_two_epochs_are_imported_alike_whoever_logged_them(tmp_path, name, text):
    """An accuracy beside the validation loss is the validation's (ultralytics#14577)."""
    state, _ = read_state(import_text(tmp_path, text, name))
    assert list(state.curve.losses) == [1.9, 1.2]
    assert [epoch.train_loss for epoch in state.epochs] == [1.9, 1.2]
    assert [epoch.val_loss for epoch in state.epochs] == [1.6, 1.1]
    assert [epoch.val_accuracy for epoch in state.epochs] == pytest.approx([0.41, 0.63])
    assert [epoch.epoch for epoch in state.epochs] == [1, 2]


WANDB_HISTORY = (
    ",_runtime,_step,_timestamp,epoch,train/loss,val/acc,note\n"
    "0,1.5,0,1700000001.5,0,2.0,,\n1,2.5,1,1700000002.5,0,,0.5,\n2,4.5,2,1700000004.5,1,1.5,,\n"
)
TRACKIO = (  # rows of its `SQLiteStorage.get_logs`
    '{"train/loss": 2.0, "timestamp": "2023-11-14T22:13:21.5+00:00", "step": 0}\n'
    '{"val/acc": 0.5, "timestamp": "2023-11-14T22:13:22.5+00:00", "step": 1}\n'
    '{"train/loss": 1.5, "timestamp": "2023-11-14T22:13:24.5+00:00", "step": 2}\n'
)


@pytest.mark.parametrize(("name", "text"), [("w.csv", WANDB_HISTORY), ("t.jsonl", TRACKIO)])
def test_histories_of_trackers_have_their_times(tmp_path, name, text):
    """A column of seconds is time, not a series; of several, the one since 1970."""
    state, _ = read_state(import_text(tmp_path, text, name))
    assert list(state.series) == ["train/loss", "val/acc"]
    assert list(state.series["train/loss"].curve.seconds) == [0.0, 3.0]
    assert state.started.time == 1700000001.5


def test_history_of_wandb_has_the_steps_of_hugging_face(tmp_path):
    """Its `_step` counts calls of `log`; the Trainer logs its own step, and fractions of epochs."""
    rows = []
    for step in range(10, 110, 10):
        rows.append(f"{step},{step / 50},{1 / step},")
        if step == 100:
            rows.append(f"{step},{step / 50},,0.5")
    text = "_step,train/global_step,train/epoch,train/loss,eval/loss\n"
    text += "".join(f"{index},{row}\n" for index, row in enumerate(rows))
    state, _ = read_state(import_text(tmp_path, text))
    assert list(state.curve.steps) == list(range(10, 110, 10))
    assert state.steps_per_epoch == 50
    assert [epoch.val_loss for epoch in state.validated_epochs] == [0.5]
    assert [epoch.epoch for epoch in state.epochs] == [1, 2]
    assert list(state.series) == ["train/loss", "eval/loss"]


def test_chart_of_wandb_is_named_after_its_metrics(tmp_path):
    """Extremes that equal the values are left out; charts of several runs keep their names."""
    text = wandb_chart("Step", WANDB).replace('1.2","1.2","1.2', '1.2","1.1","1.3')
    state, _ = read_state(import_text(tmp_path, text))
    assert list(state.series) == [
        *("train_loss", "train_loss__MIN", "train_loss__MAX", "val_loss", "val_acc")
    ]
    assert state.series["train_loss__MAX"].last == 1.3
    runs = {"big-sun-3 - val_loss": [2, 1], "old - moon-2 - val_loss": [4, 3]}
    run = import_text(tmp_path, wandb_chart("Step", runs))
    assert list(read_state(run)[0].series) == list(runs)
    assert notices_of(run)[0].startswith("Not clear which series is the validation loss: big-sun-3")


def test_exports_of_trackio(tmp_path):
    """`trackio get metric --json`, and a chart of its dashboard, which may be of several runs."""
    rows = [
        {"timestamp": f"2026-11-28T10:08:4{step}.78+00:00", "step": step, "value": 2 - step / 4}
        for step in (0, 2, 4)
    ]
    metric = {"project": "p", "run": "a", "metric": "train/loss", "values": rows}
    chart = "train/loss,epoch,timestamp,step,run,run_id,series_key\n" + "".join(
        f"{row['value']},,{row['timestamp']},{row['step']},a,7f,7f\n" for row in rows
    )
    for name, text in (("metric.json", json.dumps(metric, indent=2)), ("chart.csv", chart)):
        run = import_text(tmp_path, text, name)
        state, _ = read_state(run)
        assert list(state.series) == ["train/loss"]
        assert list(state.curve.steps) == [0, 2, 4]
        assert list(state.curve.losses) == [2.0, 1.5, 1.0]
        assert list(state.curve.seconds) == [0.0, 2.0, 4.0]
        assert notices_of(run) == ["train/loss is used as training loss"]
    with pytest.raises(DataError, match=r"rows of several runs, column 'run': a, b; keep the rows"):
        import_text(tmp_path, chart + "2,,2026-11-28T10:09:00+00:00,0,b,8f,8f\n")


def test_epochs_that_ultralytics_does_not_validate_have_no_metrics(tmp_path):
    """With `val=False` it writes zeros until the last epoch."""
    text = ULTRALYTICS.replace("0.41,0.9,1.6", "0,0,0")
    for log in (text, ultralytics_8_0(text)):
        state, _ = read_state(import_text(tmp_path, log))
        assert [epoch.epoch for epoch in state.epochs] == [1, 2]
        assert [epoch.val_loss for epoch in state.validated_epochs] == [1.1]
        assert list(state.series["metrics/accuracy_top5"].curve.steps) == [2]
    untrained = ULTRALYTICS.replace("0.41,0.9,", "0,0,")
    state, _ = read_state(import_text(tmp_path, untrained))
    assert [epoch.val_accuracy for epoch in state.epochs] == [0, 0.63]


@pytest.mark.parametrize("text", [ULTRALYTICS_DETECTOR, ultralytics_8_0(ULTRALYTICS_DETECTOR)])
def test_several_losses_of_a_detector_stay_plain_series(tmp_path, text):
    """Ultralytics logs three losses of training and of validation, and three rates."""
    run = import_text(tmp_path, text)
    state, _ = read_state(run)
    names = ULTRALYTICS_DETECTOR.partition("\n")[0].split(",")
    assert list(state.series) == names[2:]
    assert (len(state.curve), state.epochs, state.epoch) == (0, [], 2)
    assert [text.partition(":")[0] for text in notices_of(run)] == [
        "Not clear which series is the training loss",
        "Not clear which series is the validation loss",
    ]


def test_accuracy_without_split_is_that_of_training_if_validation_has_one(tmp_path):
    state, _ = read_state(import_text(tmp_path, KERAS))
    assert [epoch.train_accuracy for epoch in state.epochs] == [0.3, 0.5]
    alone, _ = read_state(import_text(tmp_path, "epoch,accuracy,loss\n0,0.3,2.1\n1,0.5,1.5\n"))
    assert [epoch.train_accuracy for epoch in alone.epochs] == [0.3, 0.5]
    assert alone.best is None


@pytest.mark.parametrize(
    ("cells", "accuracies", "is_percentage"),
    [
        ("0.5 0.9 1.0", [0.5, 0.9, 1.0], False),
        ("0.8 9.5 71.3", [0.008, 0.095, 0.713], True),
        ("0.8% 0.9% 1.0%", [0.008, 0.009, 0.01], True),
        ("0 100.00001 nan", [0.0, 1.0, math.nan], True),
    ],
)
def test_percentages_are_recognized_from_the_whole_series(
    tmp_path, cells, accuracies, is_percentage
):
    rows = "".join(f"1.0,{cell}\n" for cell in cells.split())
    run = import_text(tmp_path, "val_loss,val_acc\n" + rows)
    found = [epoch.val_accuracy for epoch in read_state(run)[0].epochs]
    assert found == pytest.approx(accuracies, abs=1e-6, nan_ok=True)
    assert any("read as a percentage" in text for text in notices_of(run)) == is_percentage


def test_numbers_that_cannot_be_an_accuracy_stay_a_plain_series(tmp_path):
    run = import_text(tmp_path, "val_loss,val_acc\n1.0,812\n0.9,900\n")
    assert [epoch.accuracy for epoch in read_state(run)[0].epochs] == [None, None]
    assert notices_of(run) == [
        "val_loss is used as validation loss",
        "val_acc is not used as validation accuracy: values from 812 to 900 are neither fractions "
        "nor percentages",
    ]
    assert list(read_state(run)[0].series["val_acc"].curve.losses) == [812, 900]


def test_series_downloaded_from_tensorboard_is_named_by_its_file(tmp_path):
    """The file name holds the tag (tensorflow/ranking#20)."""
    text = "Wall time,Step,Value\n1700000001.5,1,1.54\n1700000002.5,2,1.31\n"
    for name in ("run-fashion-tag-Loss_train.csv", "run-.-tag-epoch_loss.csv", "loss.csv"):
        state, _ = read_state(import_text(tmp_path, text, name))
        assert list(state.curve.losses) == [1.54, 1.31]
        assert state.started.time == 1700000001.5
        assert list(state.curve.seconds) == [0.0, 1.0]
    as_json = "[[1700000001.5, 1, 1.54], [1700000002.5, 2, 1.31]]"
    name = "run-Loss_Validation-tag-Loss.json"
    state, _ = read_state(import_text(tmp_path, as_json, name))
    assert [epoch.val_loss for epoch in state.epochs] == [1.54, 1.31]
    state, _ = read_state(import_text(tmp_path, text, "run-fashion-tag-memory.csv"))
    assert list(state.series) == ["fashion/memory"]
    run = import_text(tmp_path, text, "version_0.csv")  # its tag is unknown
    state, _ = read_state(run)
    assert list(state.series) == ["version_0"]
    assert len(state.curve) == 0
    assert notices_of(run)[0].startswith("No series is clearly a loss")


def test_directory_of_series_downloaded_from_tensorboard_is_one_run(tmp_path):
    directory = tmp_path / "downloads"
    directory.mkdir()
    for tag, values in (("Loss_train", (2.0, 1.0)), ("Loss_val", (2.5, 1.5))):
        rows = "".join(f"170000000{step},{step},{value}\n" for step, value in enumerate(values, 1))
        (directory / f"run-.-tag-{tag}.csv").write_text("Wall time,Step,Value\n" + rows)
    state, _ = read_state(import_run(tmp_path, directory))
    assert list(state.curve.losses) == [2.0, 1.0]
    assert [epoch.val_loss for epoch in state.epochs] == [2.5, 1.5]


@pytest.mark.parametrize(
    "end", ["", "\n", "\r\n", "\n\n\n"], ids=["none", "newline", "crlf", "blank lines"]
)
def test_last_row_counts_with_and_without_a_final_newline(tmp_path, end):
    """The last row of a CSV without a final newline is imported (NVIDIA/cudf#1083)."""
    text = "epoch,loss,val_loss,val_acc\n1,2.0,1.9,0.3\n2,1.5,1.4,0.5\n3,1.0,0.9,0.7" + end
    state, _ = read_state(import_text(tmp_path, text))
    assert (len(state.epochs), state.best.val_accuracy) == (3, 0.7)
    one, _ = read_state(import_text(tmp_path, "epoch,loss\n1,2.0" + end))
    assert list(one.curve.losses) == [2.0]


def test_directory_with_one_log_is_imported(tmp_path):
    """`import lightning_logs/version_0` takes its metrics.csv."""
    version = tmp_path / "lightning_logs" / "version_0"
    version.mkdir(parents=True)
    (version / "metrics.csv").write_text(LIGHTNING)
    (version / "hparams.yaml").write_text("lr: 1\n")
    for path in (version, version.parent):
        assert open_source(path).path == version / "metrics.csv"
    other = tmp_path / "lightning_logs" / "version 1"
    other.mkdir()
    (other / "metrics.csv").write_text(LIGHTNING)
    with pytest.raises(DataError, match="contains 2 runs") as raised:
        open_source(version.parent)
    assert f"cnn-tui import '{other / 'metrics.csv'}'" in str(raised.value)
    assert "\n" not in str(raised.value)
    (tmp_path / "tables").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "tables" / name).write_text(KERAS)
        if name == "a.csv":
            assert open_source(tmp_path / "tables").path.name == "a.csv"
    with pytest.raises(DataError, match=r"contains 2 runs.*a.csv.*b.csv"):
        open_source(tmp_path / "tables")


def test_logs_of_several_programs_in_a_directory_are_named(tmp_path):
    """None is taken in place of the others; a training that wrote two logs is one run."""
    logs = tmp_path / "logs"
    EventFile(logs / "tb" / "version_0").scalar("loss", 1, 1.0).close()
    (logs / "train.csv").write_text("name,label\na,1\n")
    assert open_source(logs).path == logs / "tb" / "version_0"
    trainer = logs / "out" / "checkpoint-30" / "trainer_state.json"
    for table in (trainer, logs / "csv" / "metrics.csv", logs / "keras.csv"):
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(HUGGING_FACE if table == trainer else KERAS)
    with pytest.raises(DataError, match="contains 4 runs") as raised:
        open_source(logs)
    for log in (logs / "tb" / "version_0", trainer, logs / "csv" / "metrics.csv"):
        assert f"cnn-tui import {log}" in str(raised.value)
    EventFile(logs / "out" / "runs" / "first").scalar("loss", 1, 1.0).close()
    assert open_source(logs / "out").path == logs / "out" / "runs" / "first"
    (logs / "tb" / "version_0" / "results.csv").write_text(ULTRALYTICS)
    assert open_source(logs / "tb").path == logs / "tb" / "version_0"


def test_run_is_named_after_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "version_0").mkdir()
    (tmp_path / "version_0" / "run-.-tag-loss.json").write_text("[[1700000001, 1, 2.5]]")
    monkeypatch.chdir(tmp_path / "version_0")
    state, _ = read_state(import_run(tmp_path, Path()))
    assert (state.preset, list(state.curve.losses)) == ("version_0", [2.5])


def test_latest_checkpoint_of_hugging_face_holds_the_whole_log(tmp_path):
    for step in (500, 1000, 1500):
        directory = tmp_path / "output" / f"checkpoint-{step}"
        directory.mkdir(parents=True)
        (directory / "trainer_state.json").write_text(HUGGING_FACE)
    assert open_source(tmp_path / "output").path.parent.name == "checkpoint-1500"


@pytest.mark.parametrize(
    ("text", "steps", "notice"),
    [
        ("epoch,loss\n0,3\n1,2\n4,1\n", [1, 2, 5], ""),
        ("epoch,loss\n0.5,3\n1.0,2\n1.5,1\n", [1, 2, 3], ""),
        ("epoch,loss\n0,3\n0,2\n1,1\n1,0.5\n", [1, 2, 3, 4], ""),
        ("epoch,batch,loss\n0,0,3\n0,1,2\n1,0,1\n1,1,0.5\n", [0, 1, 2, 3], ""),
        ("epoch,step,loss\n1,390,3\n2,390,2\n3,390,1\n", [390, 780, 1170], ""),
        ("epoch,step,loss\n0,50,3\n0,100,2\n1,150,1\n", [50, 100, 150], ""),
        ("step,loss\n-1,3\n0,2\n1,1\n", [0, 1, 2], ""),
        ("step,loss\n1,3\n2,2\n2,1\n", [1, 2], "1 value was replaced by later ones"),
        ("step,loss\n1,3\n2,2\n3,9\n2,1\n4,0\n", [1, 2, 4], "2 values were replaced by later ones"),
        ("step,loss\n1,3\n1e300,2\ninf,1\n3,1\n", [1, 3], ""),
        ("step,loss\n1,3\nstep,loss\n2,1\n", [1, 2], ""),
        ("step,loss\n1,3\n2\n3,1,7\n4,\n5,-\n6,None\n7,0.5\n", [1, 7], "2 rows have more or fewer"),
        ('step,loss,note\n1,3,"two\nlines"\n2,1,"a ""b"", c"\n', [1, 2], ""),
        ('step,loss,note\n1,3,"open\n2,2,\n3,1,\n', [2, 3], "1 row has more or fewer cells"),
    ],
)
def test_steps_follow_from_the_columns(tmp_path, text, steps, notice):
    run = import_text(tmp_path, text)
    assert list(read_state(run)[0].curve.steps) == steps
    assert any(notice in text for text in notices_of(run))
    assert notice or not any("replaced" in text or "rows" in text for text in notices_of(run))


def test_epochs_that_are_not_validated_keep_their_number(tmp_path):
    text = "epoch,loss,val_loss\n1,4,\n2,3,2.5\n3,2,\n4,1,1.5\n"
    state, _ = read_state(import_text(tmp_path, text))
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3, 4]
    assert [epoch.epoch for epoch in state.validated_epochs] == [2, 4]


def test_not_a_number_and_infinite_losses_are_kept(tmp_path):
    state, _ = read_state(import_text(tmp_path, "step,loss\n1,2\n2,inf\n3,-Infinity\n4,NaN\n"))
    assert list(state.curve.losses)[:3] == [2.0, math.inf, -math.inf]
    assert math.isnan(state.curve.losses[3])


def test_unclear_series_is_reported_and_can_be_chosen(tmp_path):
    text = "epoch,train/loss,val/box_loss,val/cls_loss\n1,3,2,1\n2,2,1.5,0.5\n"
    run = import_text(tmp_path, text)
    assert read_state(run)[0].validated_epochs == []
    assert (
        "Not clear which series is the validation loss: val/box_loss, val/cls_loss; choose with "
        "--role val_loss=NAME" in notices_of(run)
    )
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(tmp_path / "log.csv"), run, chosen={"val_loss": "val/cls_loss"})
    importer.close(ended=True)
    assert [epoch.val_loss for epoch in read_state(run)[0].epochs] == [1.0, 0.5]
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(tmp_path / "log.csv"), run, chosen={"val_loss": "val/los"})
    problem = r"--role val_loss: .* has no series 'val/los', but train"
    with pytest.raises(ConfigError, match=problem):
        importer.close(ended=True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not valid JSON"),
        ('{"log_history": []}', "contains no values"),
        ('{"name": "resnet", "layers": 18}', "a single JSON object without a loss"),
        ("[1, 2", "is not valid JSON"),
        ("[[[[", "is not valid JSON"),
        (200_000 * "[", "is nested too deeply"),
        ("epoch,loss\n1\n2\n", "contains no values; 2 rows have more or fewer cells"),
        ("loss" + 2_000_000 * "x", "is not a CSV file"),
        ("SQLite format 3\0", "is a database, such as Trackio's; export a metric with"),
    ],
)
def test_files_that_are_no_logs_are_refused(tmp_path, text, problem):
    with pytest.raises(DataError, match=problem):
        import_text(tmp_path, text)
