"""Repeats the final test of a run with the same images, weights and precision."""

from dataclasses import dataclass, replace
from functools import partial

from cnn_engine.checkpoints.compat import check_images
from cnn_engine.data.dataset import DataSet
from cnn_engine.data.identity import image_values
from cnn_engine.data.loader import make_loader
from cnn_engine.errors import DataError, StorageError, UserError
from cnn_engine.evaluation.report import evaluate_test_set, save_results
from cnn_engine.inference.run_images import load_run_images
from cnn_engine.inference.trained import TrainedModel, load_trained_model
from cnn_engine.inspection.heatmaps import explain_images
from cnn_engine.progress import Progress
from cnn_engine.results.mistakes import read_mistakes
from cnn_engine.results.predictions import read_predictions
from cnn_engine.runlog.events import RunPrepared, TestFinished
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state
from cnn_engine.system.environment_diff import environment_diff, is_decoded_differently
from cnn_engine.system.threads import choose_threads

COUNTS = ("epoch", "correct", "total", "confusion", "top5", "tta_correct")
"""Fields that must be equal. The last digits of the loss may differ between machines."""


@dataclass(frozen=True, kw_only=True)
class RetestResult:
    """Result of a repeated test, which is not recorded in the run's log."""

    test: TestFinished
    recorded: TestFinished | None
    """The run's own test; None if it was never tested."""

    prepared: RunPrepared
    """Classes and images, as recorded."""

    differences: tuple[str, ...]
    """Changes of device, precision or threads, such as `threads: 2, before 4`."""

    notice: str
    """Text about missing result files that were, or could not be, written again; may be empty."""

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

    Writes `test.json` and `mistakes.json` if they are missing or damaged, or written by a version
    without heatmaps; changes nothing else.

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
    config = trained.config
    data = load_run_images(run, config, path, progress)
    check_images(state.prepared, data)
    loader = make_loader(trained.device, data, config.data.mean, config.data.std)
    with trained.autocast():
        tested = evaluate_test_set(
            trained.model,
            data,
            loader,
            trained.epoch,
            config.evaluate.tta,
            lambda done: progress("testing", done, len(data.test)),
        )
    recorded = state.test
    differences = _differences(trained, state.prepared)
    if recorded is not None and recorded.fingerprint not in ("", tested.fingerprint):
        differences += _decoding_differences(data, tested.fingerprint, state.prepared)
    result = RetestResult(
        test=tested.event(seconds=0.0),
        recorded=recorded,
        prepared=state.prepared,
        differences=differences,
        notice="",
    )
    if result.is_equal and recorded is not None and not _has_results(run, recorded):
        notices: list[str] = []
        explain = partial(explain_images, trained.model, loader, notices.append, lambda: None)
        try:
            with trained.autocast():
                save_results(run, data, tested, explain)
        except StorageError as error:
            return replace(result, notice=str(error))
        notices.append("test.json and mistakes.json were written again")
        return replace(result, notice="; ".join(notices))
    return result


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


def _decoding_differences(
    data: DataSet, fingerprint: str, prepared: RunPrepared
) -> tuple[str, ...]:
    """Return the differences of the programs that decode the images.

    Raises:
        DataError: the images themselves have changed.
    """
    images = image_values(data, fingerprint)
    if not is_decoded_differently(images, prepared.environment):
        raise DataError(
            f"{data.source}: the test images have changed since the run was tested on them; "
            "restore them, or pass their directory with --data-dir"
        )
    return environment_diff(images, prepared.environment)


def _has_results(run: RunDirectory, test: TestFinished) -> bool:
    """Return True if the result files exist, are of this test, and have heatmaps."""
    try:
        read_predictions(run, test)
        mistakes = read_mistakes(run, test)
    except UserError:
        return False
    return not mistakes or any(mistake.heatmap for mistake in mistakes)
