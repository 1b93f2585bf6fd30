"""The final test: the best model over the test images, and what is kept of it."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.functional import interpolate

from cnn_engine.data.dataset import DataSet
from cnn_engine.evaluation.evaluate import Evaluation
from cnn_engine.evaluation.tta import MeanOverViews
from cnn_engine.inspection.samples import correct_and_mistaken
from cnn_engine.results import mistakes, predictions
from cnn_engine.results.mistakes import Mistake
from cnn_engine.results.predictions import Predictions
from cnn_engine.runlog.events import Notice, StageStarted, TestFinished
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.storage.atomic import write_atomically
from cnn_engine.training.checkpointer import use_best

if TYPE_CHECKING:
    from cnn_engine.training.trainer import Training


def run_test(training: "Training") -> None:
    """Run the best checkpoint over the test images, the only time they are touched.

    Raises:
        StopRequested: the user asked to stop.
    """
    data, recorder, clock = training.data, training.recorder, training.control.clock
    recorder.record(StageStarted(stage="test"))
    start = clock()
    training.saving.writer.wait()
    epoch = use_best(training)
    with ThreadPoolExecutor(1, "fingerprint") as pool:  # a tenth of a second beside the test
        fingerprint = pool.submit(data.test_fingerprint)
        result = training.learner.evaluate(data.test, lambda _: training.control.check())
        augmented = _test_augmented(training)
    said = predictions_of(data, result, epoch, fingerprint.result())
    if trouble := keep_results(recorder.run, data, said):
        recorder.record(Notice(text=trouble))
    recorder.record(finished(result, said, clock() - start, augmented))
    training.write_feature_maps("test", correct_and_mistaken(data, result.answers), epoch)


def _test_augmented(training: "Training") -> tuple[str, Evaluation] | None:
    """The test again with test-time augmentation, and which, if that is asked for."""
    kind = training.config.evaluate.tta
    if kind == "none":
        return None
    model = MeanOverViews(training.learner.model, kind)
    test = training.data.test
    return kind, training.learner.evaluate(test, lambda _: training.control.check(), model)


def predictions_of(data: DataSet, result: Evaluation, epoch: int, fingerprint: str) -> Predictions:
    """What the model said of each test image.

    Args:
        data: The images.
        result: What came of those for the test.
        epoch: Epoch that the model's weights are from.
        fingerprint: Of the test images.
    """
    answers = result.answers
    return Predictions(
        epoch=epoch,
        fingerprint=fingerprint,
        names=list(map(data.name_of, data.test.tolist())),
        truth=answers.truth.tolist(),
        predicted=answers.predicted.tolist(),
        confidence=answers.confidence.tolist(),
        rank=answers.rank.tolist(),
    )


def finished(
    result: Evaluation,
    said: Predictions,
    seconds: float,
    augmented: tuple[str, Evaluation] | None = None,
) -> TestFinished:
    """The event that tells of the test.

    Args:
        result: What came of it.
        said: The same, image by image.
        seconds: What it took.
        augmented: How the images were seen for a second figure, and what came of that.
    """
    tta, more = augmented or ("", None)
    return TestFinished(
        epoch=said.epoch,
        loss=result.loss,
        correct=result.correct,
        total=result.total,
        seconds=seconds,
        confusion=result.confusion,
        top5=result.top5,
        bins=result.bins,
        fingerprint=said.fingerprint,
        tta=tta,
        tta_loss=more.loss if more else None,
        tta_correct=more.correct if more else (),
    )


def keep_results(run: RunDirectory, data: DataSet, said: Predictions) -> str:
    """Write what the model said of each image, and pictures of mistakes; why not, if so."""
    pictures = mistakes.to_json(_mistakes(data, said), said.epoch, said.fingerprint)
    for file, content in ((predictions.FILE, said.to_json()), (mistakes.FILE, pictures)):
        try:
            write_atomically(run.path / file, content)
        except OSError as error:
            text = f"{file} could not be written: {error.strerror}; the figures are in the log all"
            return f"{text} the same, and once there is room: cnn-tui test {run.id}"
    return ""


def _mistakes(data: DataSet, said: Predictions) -> list[Mistake]:
    height, width, channels = data.images.shape[1:]
    sides = [min(side, mistakes.LONGEST_SIDE) for side in (height, width)]
    chosen = mistakes.choose(said, sides[0] * sides[1] * channels)
    return [
        Mistake(
            **said[index]._asdict(),
            pixels=_fitted(data.images[int(data.test[index])], sides).numpy().tobytes(),
            height=sides[0],
            width=sides[1],
            channels=channels,
        )
        for index in chosen
    ]


def _fitted(image: Tensor, sides: list[int]) -> Tensor:
    """An image, uint8 [H, W, C], brought to these sides, smoothly."""
    if list(image.shape[:2]) == sides:
        return image.contiguous()
    planes = image.permute(2, 0, 1)[None].float()
    smaller = interpolate(planes, sides, mode="bilinear", antialias=True)
    return smaller[0].round().clamp(0, 255).byte().permute(1, 2, 0).contiguous()
