"""Reports on labelled images: the final test, and the result files of tests and validations."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from cnn_engine.data.dataset import DataSet
from cnn_engine.data.loader import TensorLoader
from cnn_engine.distributed.processes import ALONE, Processes
from cnn_engine.errors import StorageError
from cnn_engine.evaluation.evaluate import Evaluation, ImagePredictions, evaluate
from cnn_engine.evaluation.pictures import (
    Explain,
    picture_bytes,
    picture_fields,
    without_heatmaps,
)
from cnn_engine.evaluation.tta import TTAModel
from cnn_engine.results import mistakes, predictions
from cnn_engine.results.mistakes import Mistake
from cnn_engine.results.predictions import Predictions
from cnn_engine.runlog.events import TestFinished
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for
from cnn_engine.storage.atomic import write_atomically


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """Results of a model on the test images."""

    epoch: int
    """Epoch that the weights are from."""

    evaluation: Evaluation
    """Result without test-time augmentation."""

    tta: str
    """Kind of test-time augmentation; empty without one."""

    tta_evaluation: Evaluation | None
    """Result with test-time augmentation; None without one."""

    fingerprint: str
    """SHA-256 of the test images."""

    def event(self, seconds: float) -> TestFinished:
        """Return the event for the log, with the duration of the test in seconds."""
        result, tta = self.evaluation, self.tta_evaluation
        return TestFinished(
            epoch=self.epoch,
            loss=result.loss,
            correct=result.correct,
            total=result.total,
            seconds=seconds,
            confusion=result.confusion,
            top5=result.top5,
            bins=result.bins,
            fingerprint=self.fingerprint,
            tta=self.tta,
            tta_loss=tta.loss if tta else None,
            tta_correct=tta.correct if tta else (),
        )


def evaluate_test_set(  # noqa: PLR0913, PLR0917 - a model, its images and how to test it
    model: nn.Module,
    data: DataSet,
    loader: TensorLoader,
    epoch: int,
    tta: Literal["none", "mirror", "mirror-shift"],
    progress: Callable[[int], None],
    processes: Processes = ALONE,
) -> TestResult:
    """Evaluate the model on the test images, without and with test-time augmentation.

    Args:
        model: Normalized images [N, C, H, W] to logits [N, classes], under the caller's autocast.
        data: The data set.
        loader: The same images, on the device.
        epoch: Epoch that the weights are from.
        tta: Kind of test-time augmentation.
        progress: Called after each batch with the number of images done; may raise to stop.
        processes: The processes that evaluate together.
    """

    def evaluate_on_test(model: nn.Module) -> Evaluation:
        return evaluate(model, loader, data.test, len(data.classes), progress, processes)

    with ThreadPoolExecutor(1, "fingerprint") as pool:  # takes 0.1 s
        fingerprint = pool.submit(data.test_fingerprint)
        evaluation = evaluate_on_test(model)
        tta_evaluation = None if tta == "none" else evaluate_on_test(TTAModel(model, tta))
    return TestResult(
        epoch=epoch,
        evaluation=evaluation,
        tta="" if tta == "none" else tta,
        tta_evaluation=tta_evaluation,
        fingerprint=fingerprint.result(),
    )


def save_results(run: RunDirectory, data: DataSet, result: TestResult, explain: Explain) -> None:
    """Write `test.json` and `mistakes.json`.

    Args:
        run: Run directory.
        data: The data set.
        result: Results of the test.
        explain: Makes the heatmaps of the mistakes.

    Raises:
        StorageError: a file cannot be written; the log still has the metrics.
    """
    found = named_predictions(
        data, data.test, result.evaluation.predictions, result.epoch, result.fingerprint
    )
    mistakes_content = mistakes.encode_mistakes(
        pictured_mistakes(data, data.test, found, explain=explain),
        result.epoch,
        result.fingerprint,
    )
    advice = f"Once there is space: {command_for('test', run)}"
    write_result(run.path / predictions.PREDICTIONS_FILE, found.to_json(), advice)
    write_result(run.path / mistakes.MISTAKES_FILE, mistakes_content, advice)


def named_predictions(
    data: DataSet, indices: Tensor, found: ImagePredictions, epoch: int, fingerprint: str
) -> Predictions:
    """Return the predictions with the names of the images.

    Args:
        data: The data set.
        indices: int64 [M], the images.
        found: Their predictions.
        epoch: Epoch of the weights.
        fingerprint: Digest of the images.
    """
    return Predictions(
        epoch=epoch,
        fingerprint=fingerprint,
        names=list(map(data.name_of, indices.tolist())),
        target=found.targets.tolist(),
        predicted=found.predicted.tolist(),
        confidence=found.confidence.tolist(),
        rank=found.rank.tolist(),
        target_confidence=found.target_confidence.tolist(),
    )


def pictured_mistakes(
    data: DataSet,
    indices: Tensor,
    found: Predictions,
    limit: int = mistakes.MAX_IMAGES,
    explain: Explain = without_heatmaps,
) -> list[Mistake]:
    """Return the most confident mistakes with their images, at most `limit`.

    Args:
        data: The data set.
        indices: int64 [M], the images.
        found: Their predictions.
        limit: Maximum number of mistakes.
        explain: Makes heatmaps of the predicted classes.
    """
    selected = mistakes.select_mistakes(found, picture_bytes(data), limit)
    predicted = torch.tensor([found.predicted[index] for index in selected], dtype=torch.int64)
    heatmaps = explain(indices[selected], predicted)
    return [
        Mistake(
            **found[index]._asdict(),
            **picture_fields(data, int(indices[index])),
            heatmap=heatmap,
        )
        for index, heatmap in zip(selected, heatmaps, strict=True)
    ]


def write_result(path: Path, content: bytes, advice: str) -> None:
    """Write a result file.

    Raises:
        StorageError: it cannot be written; the text ends with `advice`.
    """
    try:
        write_atomically(path, content)
    except OSError as error:
        raise StorageError(
            f"{path.name} could not be written: {error.strerror}; the metrics are in the log. "
            f"{advice}"
        ) from None
