"""The final test of a run: its best weights on the test images."""

from functools import partial

import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import BEST_FILE
from cnn_engine.config.schema import EvaluateConfig
from cnn_engine.data.dataset import DataSet
from cnn_engine.data.loader import TensorLoader
from cnn_engine.errors import StorageError, UserError
from cnn_engine.evaluation.report import TestResult, evaluate_test_set, save_results
from cnn_engine.inspection.heatmaps import explain_images
from cnn_engine.models.renamed import rename_weights
from cnn_engine.runlog.events import Notice, StageStarted
from cnn_engine.runs.recorder import Recorder
from cnn_engine.training.control import Control
from cnn_engine.training.learner import Learner


def run_test(  # noqa: PLR0913, PLR0917 - the parts of a run
    learner: Learner,
    data: DataSet,
    loader: TensorLoader,
    config: EvaluateConfig,
    recorder: Recorder,
    control: Control,
    last_epoch: int,
) -> TestResult:
    """Load the best weights, evaluate them on the test images, record and save the results.

    This is the only use of the test images. The learner keeps the best weights.

    Args:
        learner: The trained model.
        data: The images.
        loader: The same, on the device.
        config: Selects test-time augmentation.
        recorder: Records the events.
        control: Checked for commands after each batch.
        last_epoch: Epoch of the learner's weights, which are tested if `best.pt` cannot be read.

    Raises:
        StopRequested: the user asked to stop.
    """
    recorder.record(StageStarted(stage="test"))
    start = control.clock()
    epoch = int(control.decide(load_best(learner, recorder, loader.device, last_epoch)))
    learner.copy_from_first()
    control.begin_phase()
    with learner.autocast():
        result = evaluate_test_set(
            learner.model,
            data,
            loader,
            epoch,
            config.tta,
            lambda _: control.check(),
            learner.processes,
        )
    explain = partial(
        explain_images,
        learner.model,
        loader,
        lambda text: recorder.record(Notice(text=text)),
        control.check,
    )
    try:
        recorder.check_in_place()
        with learner.autocast():
            save_results(recorder.run, data, result, explain)
    except StorageError as error:
        recorder.record(Notice(text=str(error)))
    recorder.record(result.event(control.clock() - start))
    return result


def load_best(learner: Learner, recorder: Recorder, device: torch.device, last_epoch: int) -> int:
    """Load `best.pt` into the model, or use the last weights; return the epoch they are from."""
    try:
        content = checkpoint.load(recorder.run.path / BEST_FILE, device)
    except UserError as error:
        notice = Notice(text=f"{error}; the test uses the weights of the last epoch instead")
        if recorder.state.best_checkpoint_epoch is None and not recorder.state.epochs:
            text = "The test uses the current weights: no epoch is finished yet"
            notice = Notice(text=text, severity="info")
        recorder.record(notice)
        learner.weights.load_state_dict(learner.model_state_dict())
        return last_epoch
    learner.weights.load_state_dict(rename_weights(learner.model, content["model"]))
    epoch, best = int(content["epoch"]), recorder.state.best
    if best is not None and best.epoch != epoch:  # the disk was full when the best was saved
        text = f"The test uses the weights of epoch {epoch} in {BEST_FILE}, not those of epoch "
        metric = recorder.state.best_metric
        text += f"{best.epoch}, which has the {metric.extreme} {metric.name}"
        recorder.record(Notice(text=text, severity="info"))
    return epoch
