"""The list that the Mistakes view shows, made from the files of a run."""

from typing import NamedTuple

from cnn_engine.results.counted_epoch import counted_epoch
from cnn_engine.results.mistakes import MISTAKES_FILE
from cnn_engine.results.suspects import Kind
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for
from cnn_tui.dashboard.picture_lists.files import ListName, PictureFiles
from cnn_tui.dashboard.picture_lists.message import Message
from cnn_tui.dashboard.picture_lists.mistakes import ClassPair, MistakeList, count_mistakes
from cnn_tui.dashboard.picture_lists.suspects import SUSPECTS, SuspectList
from cnn_tui.dashboard.picture_lists.tile import PictureList
from cnn_tui.text.other_loops import missing_text
from cnn_tui.text.safe import safe_text

MAX_ERROR = 1000


class Choice(NamedTuple):
    """The list that the user has chosen, and the filter."""

    list_name: ListName | None = None
    """None for the first one that exists."""

    pair: ClassPair | None = None
    """Filter of mistakes; None for all."""

    kind: Kind | None = None
    """Filter of suspects; None for all."""

    def shown(self, names: list[ListName]) -> ListName | None:
        """Return which of the existing lists is shown; None without any."""
        if self.list_name in names:
            return self.list_name
        return names[0] if names else None

    def next(self, names: list[ListName]) -> "Choice":
        """Return the list after the shown one, without a filter; the first one after the last."""
        shown = self.shown(names)
        position = (names.index(shown) + 1) % len(names) if shown else 0
        return Choice(names[position] if position else None)

    def without_filter(self, names: list[ListName]) -> "Choice":
        """Return the same list without a filter; of the first list, it shows later ones."""
        return Choice(None if names[:1] == [self.list_name] else self.list_name)


def make_list(
    files: PictureFiles, run: RunDirectory, state: RunState, choice: Choice
) -> PictureList:
    """Return the list to show, or a message."""
    name = choice.shown(files.names(state))
    if name == "suspects":
        return _suspects(files, choice)
    if name == "validation":
        return _validated(files, state, choice)
    if name == "test":
        return _tested(files, run, state, choice)
    return Message("Mistakes", (_no_list_text(state),))


def _suspects(files: PictureFiles, choice: Choice) -> PictureList:
    file = files.suspects.value
    if file is None:
        return Message(SUSPECTS, (safe_text(files.suspects.error, MAX_ERROR),))
    return SuspectList(file=file, kind=choice.kind, marks=files.marks, marks_note=files.marks_note)


def _tested(files: PictureFiles, run: RunDirectory, state: RunState, choice: Choice) -> PictureList:
    file, test = files.mistakes, state.test
    if test is None or file is None:
        return Message("Mistakes", (_no_list_text(state),))
    if file.value is None:
        error = file.error or (
            f"{MISTAKES_FILE} is missing; recreate it with: {command_for('test', run)}"
        )
        return Message("Mistakes ─ test", (safe_text(error, MAX_ERROR),))
    return MistakeList(
        part="test",
        epoch=test.epoch,
        all_mistakes=file.value,
        counted=count_mistakes(test, choice.pair),
        classes=state.classes,
        pair=choice.pair,
        marks=files.marks,
        marks_note=files.marks_note,
    )


def _validated(files: PictureFiles, state: RunState, choice: Choice) -> PictureList:
    file = files.validation
    if file is None:
        return Message("Mistakes ─ validation", (safe_text(files.validation_error, MAX_ERROR),))
    epoch = counted_epoch(state, file.epoch)
    return MistakeList(
        part="validation",
        epoch=file.epoch,
        all_mistakes=file.mistakes,
        counted=count_mistakes(epoch, choice.pair) if epoch else 0,
        classes=state.classes,
        pair=choice.pair,
        marks=files.marks,
        marks_note=files.marks_note,
    )


def _no_list_text(state: RunState) -> str:
    """Return why there is no list yet."""
    if reason := missing_text(state, "images of mistakes"):
        return reason
    if state.has_ended:
        return "not tested: the run ended before the test"
    has_validation = state.prepared is None or state.prepared.val_images > 0
    first = has_validation and not state.validated_epochs
    return f"available after the {'first validation' if first else 'final test'}"


def other_lists_text(state: RunState, run: RunDirectory) -> str:
    """Return why there is no other list than the one that is shown."""
    if reason := missing_text(state, "other images"):
        return f"{reason[:1].upper()}{reason[1:]}"
    if not state.has_ended:
        return "No other list yet: suspects are found at the end of training"
    return f"No other list; find suspects with: {command_for('data suspects', run)}"
