"""Logs of other programs, and their import into runs."""

import struct

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from cnn_engine.importers.importer import Importer
from cnn_engine.importers.open import open_source
from cnn_engine.runlog.events import Notice
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.history import read_steps
from cnn_engine.runs.summary import read_state
from runs_for_tests import events_of

KERAS = "epoch,accuracy,loss,val_accuracy,val_loss\n0,0.3,2.1,0.4,1.8\n1,0.5,1.5,0.55,1.4\n"
LIGHTNING = (
    "epoch,lr-Adam,step,train_loss,val_acc,val_loss,gpu\n"
    "0,0.001,50,2.1,,,1\n0,0.001,100,1.9,,,\n0,,100,,0.4,1.8,\n"
    "1,0.002,150,1.7,,,\n1,0.002,200,1.6,,,\n1,,200,,0.5,1.5,\n"
)


def import_run(tmp_path, source, name=""):
    """Import everything at a path; return the run."""
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(source), run, name)
    importer.poll()
    importer.close(ended=True)
    return run


def import_text(tmp_path, text, name="log.csv"):
    path = tmp_path / name
    path.write_text(text) if isinstance(text, str) else path.write_bytes(text)
    return import_run(tmp_path, path)


def notices_of(run):
    return [event.text for event in events_of(run, Notice)]


def contents(run):
    """Return what a run holds, without times."""
    state, damaged = read_state(run)
    return {
        "steps": list(state.curve.steps),
        "losses": list(map(str, state.curve.losses)),
        "epochs": [
            f"{epoch.epoch} {epoch.train_loss} {epoch.train_accuracy} {epoch.val_loss} "
            f"{epoch.accuracy}"
            for epoch in state.epochs
        ],
        "best": state.best.epoch if state.best else None,
        "lr": str(state.lr),
        "steps_per_epoch": state.steps_per_epoch,
        "position": (state.epoch, state.step),
        "series": {name: _without_times(series) for name, series in state.series.items()},
        "read_steps": [(event.epoch, event.step, str(event.loss)) for event in read_steps(run)],
        "status": state.status,
        "damaged": damaged,
    }


def _without_times(series):
    points = [f"{point.step} {point.loss} {point.low} {point.high}" for point in series.curve]
    return points, str(series.last), series.minimum, series.maximum


class EventFile:
    """Event files written by TensorBoard's own code."""

    def __init__(self, directory, purge_step=None, suffix=""):
        """Begin a file as PyTorch's SummaryWriter does, with its `purge_step`."""
        self._writer = EventFileWriter(str(directory), filename_suffix=suffix)
        if purge_step is not None:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._writer.add_event(event_pb2.Event(step=purge_step, file_version="brain.Event:2"))
            self._writer.add_event(event_pb2.Event(step=purge_step, session_log=start))

    def scalar(self, tag, step, value, time=1_700_000_000.0):
        self._add(step, time, summary_pb2.Summary.Value(tag=tag, simple_value=value))
        return self

    def tensor(self, tag, step, value, time=1_700_000_000.0):
        """Add a scalar in the format of TensorFlow 2."""
        content = tensor_pb2.TensorProto(dtype=1, tensor_content=struct.pack("<f", value))
        self._add(step, time, summary_pb2.Summary.Value(tag=tag, tensor=content))
        return self

    def image(self, tag, step, size):
        """Add an image of a number of bytes."""
        image = summary_pb2.Summary.Image(encoded_image_string=bytes(size))
        self._add(step, 1_700_000_000.0, summary_pb2.Summary.Value(tag=tag, image=image))
        return self

    def hparams(self, values=()):
        """Add what `add_hparams` writes before the results."""
        start = plugin_data_pb2.SessionStartInfo()
        for name, value in dict(values).items():
            kinds = {bool: "bool_value", str: "string_value"}
            setattr(start.hparams[name], kinds.get(type(value), "number_value"), value)
        content = plugin_data_pb2.HParamsPluginData(session_start_info=start).SerializeToString()
        for name, data in (
            ("experiment", b"\x12\x02"),
            ("session_start_info", content),
            ("session_end_info", b"\x22\x02"),
        ):
            plugin = summary_pb2.SummaryMetadata.PluginData(plugin_name="hparams", content=data)
            metadata = summary_pb2.SummaryMetadata(plugin_data=plugin)
            value = summary_pb2.Summary.Value(tag=f"_hparams_/{name}", metadata=metadata)
            self._add(0, 1_700_000_000.0, value)
        return self

    def flush(self):
        self._writer.flush()

    def _add(self, step, time, value):
        summary = summary_pb2.Summary(value=[value])
        self._writer.add_event(event_pb2.Event(wall_time=time, step=step, summary=summary))

    def close(self):
        self._writer.close()
