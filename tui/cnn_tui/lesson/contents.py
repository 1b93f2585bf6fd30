"""The chapters of the lesson, and the run of its last two chapters."""

from cnn_engine.errors import UserError
from cnn_engine.results.feature_maps import MAPS_FILE, read_feature_maps
from cnn_engine.results.suspects import read_suspects
from cnn_engine.runlog.events import RunPrepared
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.lesson.better_data import Found, better_data_chapter
from cnn_tui.lesson.convolution import (
    convolution_chapter,
    image_chapter,
    relu_and_pooling_chapter,
    stride_and_padding_chapter,
)
from cnn_tui.lesson.learning import (
    backpropagation_chapter,
    learning_rate_chapter,
    prediction_chapter,
)
from cnn_tui.lesson.own_run import Example, own_run_chapter
from cnn_tui.lesson.pages import Chapter


def all_chapters(run: RunDirectory | None) -> list[Chapter]:
    """Return all chapters of the lesson.

    Args:
        run: Run whose filter, image and suspects the last chapters explain; None if there is none.
    """
    example, problem = None, ""
    if run is not None:
        try:
            example = read_example(run)
        except (UserError, OSError) as error:
            problem = str(error)
    return [
        image_chapter(),
        convolution_chapter(),
        stride_and_padding_chapter(),
        relu_and_pooling_chapter(),
        prediction_chapter(),
        backpropagation_chapter(),
        learning_rate_chapter(),
        own_run_chapter(example, problem),
        _better_data(run),
    ]


def _better_data(run: RunDirectory | None) -> Chapter:
    if run is None:
        return better_data_chapter(None, "")
    try:
        found = Found(run=run, suspects=read_suspects(run))
    except (UserError, OSError) as error:
        return better_data_chapter(None, str(error))
    return better_data_chapter(found, "no suspects were found")


def read_example(run: RunDirectory) -> Example:
    """Read the feature maps and the class names of a run.

    Raises:
        UserError: the run has no feature maps, or they are damaged.
    """
    maps = read_feature_maps(run.path / MAPS_FILE)
    events = (event for event in LogReader(run.events).poll() if isinstance(event, RunPrepared))
    prepared = next(events, None)  # stops there, as the rest of the log may be long
    return Example(run=run, maps=maps, classes=prepared.classes if prepared else ())
