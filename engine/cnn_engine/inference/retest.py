"""The final test of a run, done once more: the same images, weights and arithmetic."""

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
"""What has to be equal; the loss may differ in its last digits from machine to machine."""


@dataclass(frozen=True, kw_only=True)
class RetestResult:
    """What came of it; nothing is recorded in the run's log."""

    test: TestFinished
    recorded: TestFinished | None
    """The run's own test; None where it was never tested."""

    prepared: RunPrepared
    """Classes and images, as the run's log tells."""

    differences: tuple[str, ...]
    """What the arithmetic depends on and is other now, such as `threads: 2, before 4`."""

    kept: str
    """What was written because it was missing, or why it could not be; may be empty."""

    @property
    def is_equal(self) -> bool | None:
        """Whether all counts are those recorded; None where nothing is to compare with."""
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
    """Run the best model over the test images again.

    Args:
        run: The run, which is not altered, but for what an old log or a full disk left missing.
        path: Where the images are now, if elsewhere than when it was trained.
        progress: Told how far it is; may raise to stop.
        allow_code: Import the network, if it is code of the run's user.

    Raises:
        ConfigError: there is no model yet, or of another kind than the config makes, or it is code
            that is not allowed.
        DataError: the checkpoint is damaged, or the images have changed or are not there.
        StorageError: something cannot be read.
    """
    state, _ = read_state(run)
    trained = load_trained_model(run, allow_code=allow_code)
    assert state.prepared is not None, "load_trained looks for it"  # noqa: S101
    config = trained.config if path is None else trained.config.replaced("data", path=path)
    data = load_dataset(config.data, config.train.seed, progress)
    check_images(state.prepared, data)
    test, said = _tested(trained, data, progress)
    recorded = state.test
    if recorded is not None and recorded.fingerprint not in ("", said.fingerprint):
        raise DataError(
            f"{data.source}: the test images have changed since the run was tested on them; bring "
            "them back, or name where they are with --data-dir"
        )
    repeated = RetestResult(
        test=test,
        recorded=recorded,
        prepared=state.prepared,
        differences=_differences(trained, state.prepared),
        kept="",
    )
    if repeated.is_equal and recorded is not None and not _is_kept(run, recorded):
        trouble = keep_results(run, data, said)
        return replace(repeated, kept=trouble or "test.json and mistakes.json are made again")
    return repeated


def _tested(
    trained: TrainedModel, data: DataSet, progress: Progress
) -> tuple[TestFinished, Predictions]:
    batches = make_loader(trained.device, data, trained.config.data.mean, trained.config.data.std)
    count, kind = len(data.test), trained.config.evaluate.tta

    def judge(model: nn.Module) -> Evaluation:
        with trained.arithmetic():
            return evaluate(
                model,
                batches,
                data.test,
                len(data.classes),
                lambda done: progress("testing", done, count),
            )

    result = judge(trained.model)
    augmented = None if kind == "none" else (kind, judge(MeanOverViews(trained.model, kind)))
    said = predictions_of(data, result, trained.epoch, data.test_fingerprint())
    return finished(result, said, 0.0, augmented), said


def _differences(trained: TrainedModel, prepared: RunPrepared) -> tuple[str, ...]:
    now = {
        "device": (trained.device.type, prepared.device),
        "precision": (trained.precision, prepared.precision),
        "threads": (str(choose_threads()), str(prepared.threads)),
    }
    return tuple(
        f"{what}: {value}, before {before}"
        for what, (value, before) in now.items()
        if value != before
    )


def _is_kept(run: RunDirectory, test: TestFinished) -> bool:
    """Whether the files beside the log are there, and of this test."""
    try:
        read_predictions(run, test)
        read_mistakes(run, test)
    except UserError:
        return False
    return True
