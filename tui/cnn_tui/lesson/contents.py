"""The whole lesson, and the run that it ends with."""

from cnn_engine.errors import UserError
from cnn_engine.results.feature_maps import MAPS_FILE
from cnn_engine.results.feature_maps_reader import read_maps
from cnn_engine.runlog.events import RunPrepared
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.lesson.learning import (
    how_an_answer_is_made,
    how_it_learns,
    what_the_learning_rate_does,
)
from cnn_tui.lesson.own_run import Example, own_run
from cnn_tui.lesson.pages import Chapter
from cnn_tui.lesson.seeing import (
    what_an_image_is,
    what_convolution_is,
    what_relu_and_pooling_are,
    what_stride_and_padding_are,
)


def lesson(run: RunDirectory | None) -> list[Chapter]:
    """All chapters.

    Args:
        run: Whose filter and image the last one is about; None where there is no run.
    """
    example, trouble = None, ""
    if run is not None:
        try:
            example = example_of(run)
        except (UserError, OSError) as error:
            trouble = str(error)
    return [
        what_an_image_is(),
        what_convolution_is(),
        what_stride_and_padding_are(),
        what_relu_and_pooling_are(),
        how_an_answer_is_made(),
        how_it_learns(),
        what_the_learning_rate_does(),
        own_run(example, trouble),
    ]


def example_of(run: RunDirectory) -> Example:
    """What the lesson shows of a run.

    Raises:
        UserError: it keeps no maps, or they are damaged.
    """
    maps = read_maps(run.path / MAPS_FILE)
    beginning = (each for each in LogReader(run.events).poll() if isinstance(each, RunPrepared))
    prepared = next(beginning, None)  # the rest of the log may be long, and tells nothing of this
    return Example(run=run, maps=maps, classes=prepared.classes if prepared else ())
