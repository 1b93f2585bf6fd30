"""The whole lesson, and the run that it ends with."""

from cnn_engine.errors import UserError
from cnn_engine.results.feature_maps import MAPS_FILE
from cnn_engine.results.feature_maps_reader import read_maps
from cnn_engine.runlog.events import RunPrepared
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.lesson.learning import (
    backpropagation_chapter,
    learning_rate_chapter,
    prediction_chapter,
)
from cnn_tui.lesson.own_run import Example, own_run_chapter
from cnn_tui.lesson.pages import Chapter
from cnn_tui.lesson.seeing import (
    convolution_chapter,
    image_chapter,
    relu_and_pooling_chapter,
    stride_and_padding_chapter,
)


def all_chapters(run: RunDirectory | None) -> list[Chapter]:
    """All chapters.

    Args:
        run: Whose filter and image the last one is about; None where there is no run.
    """
    example, trouble = None, ""
    if run is not None:
        try:
            example = read_example(run)
        except (UserError, OSError) as error:
            trouble = str(error)
    return [
        image_chapter(),
        convolution_chapter(),
        stride_and_padding_chapter(),
        relu_and_pooling_chapter(),
        prediction_chapter(),
        backpropagation_chapter(),
        learning_rate_chapter(),
        own_run_chapter(example, trouble),
    ]


def read_example(run: RunDirectory) -> Example:
    """What the lesson shows of a run.

    Raises:
        UserError: it keeps no maps, or they are damaged.
    """
    maps = read_maps(run.path / MAPS_FILE)
    beginning = (each for each in LogReader(run.events).poll() if isinstance(each, RunPrepared))
    prepared = next(beginning, None)  # the rest of the log may be long, and tells nothing of this
    return Example(run=run, maps=maps, classes=prepared.classes if prepared else ())
