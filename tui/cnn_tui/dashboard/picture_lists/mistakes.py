"""The most confident mistakes of the test or of a validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from textual.content import Content

from cnn_engine.data.marks import Marks
from cnn_engine.results.mistakes import MAX_OVERALL, MAX_PER_PAIR, Mistake
from cnn_engine.runlog.events import EpochFinished, TestFinished
from cnn_tui.dashboard.picture_lists.marks import mark_fact, mark_text
from cnn_tui.dashboard.picture_lists.tile import MAX_NAME, Tile
from cnn_tui.pictures.half_blocks import Picture
from cnn_tui.text.numbers import percent
from cnn_tui.text.safe import class_name

Part: TypeAlias = Literal["test", "validation"]

WHY_SAVED = (
    f"A run saves images of its {MAX_OVERALL} most confident mistakes, and of up to {MAX_PER_PAIR} "
    "more for each pair of classes; {{mistakes.export}} writes all mistakes as CSV"
)
WHY_SAVED_LIVE = "While it trains, a run saves images of its most confident mistakes only"


class ClassPair(NamedTuple):
    """A cell of the confusion matrix, as a filter of mistakes."""

    target: int

    predicted: int
    """The predicted class; equal to the true class for all mistakes of that class."""

    def matches(self, target: int, predicted: int) -> bool:
        """Return True if a mistake belongs to the cell."""
        return target == self.target and self.predicted in (predicted, target)


def count_mistakes(counts: TestFinished | EpochFinished, pair: ClassPair | None) -> int:
    """Return the number of mistakes of a test or validation that match a filter.

    0 for a cell of an earlier validation, whose confusion is not kept.
    """
    if pair is None:
        return sum(counts.total) - sum(counts.correct)
    return sum(
        images for target, predicted, images in counts.confusion if pair.matches(target, predicted)
    )


@dataclass(frozen=True, kw_only=True)
class MistakeList:
    """The mistakes with a saved image, or those in a cell of the matrix."""

    part: Part

    epoch: int
    """Epoch of the weights."""

    all_mistakes: Sequence[Mistake]
    """Mistakes of all classes, the most confident first."""

    counted: int
    """Mistakes that match the filter, with and without a saved image; 0 if unknown."""

    classes: tuple[str, ...]
    """Class names; not yet safe for the terminal."""

    pair: ClassPair | None
    """The filter; None for all mistakes."""

    marks: Marks
    marks_note: str
    """Sentence about the marks; empty without any."""

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """The mistakes that match the filter."""
        return [
            mistake
            for mistake in self.all_mistakes
            if self.pair is None or self.pair.matches(mistake.target, mistake.predicted)
        ]

    @cached_property
    def names(self) -> list[str]:
        """Names of the images."""
        return [mistake.name for mistake in self.mistakes]

    @property
    def count(self) -> int:
        """The number of mistakes that match the filter, at least those with a saved image."""
        return max(self.counted, len(self.mistakes))

    def title(self, width: int) -> str:  # noqa: ARG002 - the order is at its end
        """Return the part, the filter and the number of mistakes."""
        part = "test" if self.part == "test" else f"validation, epoch {self.epoch}"
        title = f"Mistakes ─ {part}"
        if not self.mistakes:
            return title
        shown = len(self.mistakes)
        of_all = f" of {self.count:,}" if shown < self.count else ""
        return f"{title} ─ {self._pair_text()}{shown:,}{of_all}, the most confident first"

    def _pair_text(self) -> str:
        if self.pair is None:
            return ""
        target, predicted = (class_name(self.classes, index, MAX_NAME) for index in self.pair)
        if self.pair.target == self.pair.predicted:
            return f"{target} misclassified ─ "
        return f"{target} predicted as {predicted} ─ "

    @property
    def reasons(self) -> list[str]:
        """Sentences that say why there is no image."""
        if self.pair is None:
            return ["no mistakes"]
        if not self.count:
            return ["no mistakes in this cell", "{run.back} shows all"]
        return ["no images saved for this pair", self._why_saved, "{run.back} shows all"]

    @property
    def notes(self) -> list[str]:
        """The number of marks, and why only some of the mistakes are shown."""
        why = self._why_saved if len(self.mistakes) < self.count else ""
        return list(filter(None, [self.marks_note, why]))

    @property
    def _why_saved(self) -> str:
        return WHY_SAVED if self.part == "test" else WHY_SAVED_LIVE

    def tile(self, index: int) -> Tile:
        """Return a mistake with its texts."""
        mistake = self.mistakes[index]
        target, predicted = (
            class_name(self.classes, label, MAX_NAME)
            for label in (mistake.target, mistake.predicted)
        )
        marked = self.marks.get(mistake.name)
        likely = self.classes[mistake.predicted] if mistake.predicted < len(self.classes) else ""
        confidence = Content.styled(f"  {percent(mistake.confidence)}", "$muted")
        return Tile(
            Picture(mistake.pixels, mistake.width, mistake.height, mistake.channels),
            mistake.heatmap,
            mistake.name,
            (
                Content(target),
                Content.assemble("→ ", (predicted, "bold")),
                mark_text(marked, likely) if marked else confidence,
            ),
            [
                Content.assemble(("true        ", "$muted"), (target, "bold")),
                Content.assemble(("predicted   ", "$muted"), (predicted, "bold $text-error")),
                Content.assemble(("confidence  ", "$muted"), percent(mistake.confidence, 2)),
                Content.assemble(("true class  ", "$muted"), f"ranked {mistake.rank}"),
                *mark_fact(marked),
            ],
            likely,
        )
