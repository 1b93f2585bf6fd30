"""Repeats the final test of a run, with the same images, weights and arithmetic."""

from dataclasses import dataclass, replace

from torch import nn

from cnn_engine.data.dataset import DataSet, load_dataset
from cnn_engine.data.loader import make_loader
from cnn_engine.data.raw import Progress
from cnn_engine.errors import DataError, UserError
from cnn_engine.evaluation.evaluate import Evaluation, evaluate
from cnn_engine.evaluation.tta import MeanOverViews
from cnn_engine.inference.trained import TrainedModel, load_trained_model
from cnn_engine.results.mistakes import read_mistakes
from cnn_engine.results.predictions import Predictions, read_predictions
from cnn_engine.runlog.events import RunPrepared, TestFinished
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state
from cnn_engine.system.threads import choose_threads
from cnn_engine.training.final_test import finished, keep_results, predictions_of
from cnn_engine.training.snapshot import check_images

COUNTS = ("epoch", "correct", "total", "confusion", "top5", "tta_correct")
"""Fields that must be equal; the loss may differ in its last digits between machines."""


@dataclass(frozen=True, kw_only=True)
class RetestResult:
    """Result of a repeated test, which is not recorded in the run's log."""

    test: TestFinished
    recorded: TestFinished | None
    """The run's own test; None if it was never tested."""

    prepared: RunPrepared
    """Classes and images, as recorded."""

    differences: tuple[str, ...]
    """Changes in what the arithmetic depends on, such as `threads: 2, before 4`."""

    notice: str
    """Result files that were missing and written again, or the problem; empty if none was."""

    @property
    def is_equal(self) -> bool | None:
        """True if all counts equal the recorded ones; None if there are none."""
        if self.recorded is None:
            return None
        return all(
            getattr(self.test, name) == getattr(self.recorded, name)
            for name in COUNTS
            if name != "top5" or self.recorded.top5 is not None
        )


def retest(
    run: RunDirectory, path: str | None, progress: Progress, *, allow_code: bool = False
) -> RetestResult:
    """Evaluate a run's best model on its test images.

    Writes `test.json` and `mistakes.json` if they are missing or damaged; changes nothing else.

    Args:
        run: The run.
        path: Directory of the images; None to use the one that it was trained with.
        progress: Called with a label, the number done and the total; may raise to stop.
        allow_code: Import the network if it is the user's own code.

    Raises:
        ConfigError: there is no model yet, its weights do not fit the config, or it is code that
            is not allowed.
        DataError: the checkpoint is damaged, or the images are missing or have changed.
        StorageError: a file cannot be read.
    """
    state, _ = read_state(run)
    trained = load_trained_model(run, allow_code=allow_code)
    assert state.prepared is not None, "load_trained_model requires it"  # noqa: S101
    config = trained.config if path is None else trained.config.replaced("data", path=path)
    data = load_dataset(config.data, config.train.seed, progress)
    check_images(state.prepared, data)
    test, predictions = _test(trained, data, progress)
    recorded = state.test
    if recorded is not None and recorded.fingerprint not in ("", predictions.fingerprint):
        raise DataError(
            f"{data.source}: the test images have changed since the run was tested on them; bring "
            "them back, or name where they are with --data-dir"
        )
    result = RetestResult(
        test=test,
        recorded=recorded,
        prepared=state.prepared,
        differences=_differences(trained, state.prepared),
        notice="",
    )
    if result.is_equal and recorded is not None and not _has_results(run, recorded):
        problem = keep_results(run, data, predictions)
        return replace(result, notice=problem or "test.json and mistakes.json are written again")
    return result


def _test(
    trained: TrainedModel, data: DataSet, progress: Progress
) -> tuple[TestFinished, Predictions]:
    batches = make_loader(trained.device, data, trained.config.data.mean, trained.config.data.std)
    tta = trained.config.evaluate.tta

    def run(model: nn.Module) -> Evaluation:
        with trained.arithmetic():
            return evaluate(
                model,
                batches,
                data.test,
                len(data.classes),
                lambda done: progress("testing", done, len(data.test)),
            )

    result = run(trained.model)
    augmented = None if tta == "none" else (tta, run(MeanOverViews(trained.model, tta)))
    predictions = predictions_of(data, result, trained.epoch, data.test_fingerprint())
    return finished(result, predictions, 0.0, augmented), predictions


def _differences(trained: TrainedModel, prepared: RunPrepared) -> tuple[str, ...]:
    values = {
        "device": (trained.device.type, prepared.device),
        "precision": (trained.precision, prepared.precision),
        "threads": (str(choose_threads()), str(prepared.threads)),
    }
    return tuple(
        f"{name}: {value}, before {before}"
        for name, (value, before) in values.items()
        if value != before
    )


def _has_results(run: RunDirectory, test: TestFinished) -> bool:
    """Return True if the result files exist and are of this test."""
    try:
        read_predictions(run, test)
        read_mistakes(run, test)
    except UserError:
        return False
    return True
