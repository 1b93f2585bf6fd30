"""Training images with suspicious labels."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import NamedTuple

from textual.content import Content

from cnn_engine.data.marks import Marks
from cnn_engine.results.suspects import KINDS, Kind, Suspect, SuspectRow, Suspects
from cnn_tui.dashboard.picture_lists.marks import mark_fact, mark_text
from cnn_tui.dashboard.picture_lists.tile import MAX_NAME, Tile
from cnn_tui.pictures.half_blocks import Picture
from cnn_tui.text.safe import class_name, safe_text

SUSPECTS = "Suspects"
MIN_WIDTH_WITH_ORDER = 85
"""Width of the panel from which on its title names the order."""


class KindTexts(NamedTuple):
    """Words for a kind of suspicion."""

    one: str
    many: str

    reason: str
    """The suspicion, as a sentence."""


TEXTS: dict[Kind, KindTexts] = {
    "label": KindTexts("label", "labels", "The label may be wrong."),
    "duplicate": KindTexts(
        "near-duplicate", "near-duplicates", "Looks almost like an image of another class."
    ),
    "outlier": KindTexts("outlier", "outliers", "Is unlike all other images."),
}


@dataclass(frozen=True, kw_only=True)
class SuspectList:
    """The suspects of all kinds, or of one."""

    file: Suspects

    kind: Kind | None
    """The filter; None for all kinds."""

    marks: Marks
    marks_note: str
    """Sentence about the marks; empty without any."""

    @cached_property
    def suspects(self) -> list[Suspect]:
        """The suspects that match the filter."""
        return [
            suspect
            for suspect in self.file.suspects
            if self.kind is None or suspect.kind == self.kind
        ]

    @cached_property
    def names(self) -> list[str]:
        """Names of the images."""
        return [suspect.name for suspect in self.suspects]

    @property
    def next_kind(self) -> Kind | None:
        """The filter after this one: all kinds, then each kind of which there are suspects."""
        found = {suspect.kind for suspect in self.file.suspects}
        filters = [None, *(kind for kind in KINDS if kind in found)]
        return filters[(filters.index(self.kind) + 1) % len(filters)]

    @property
    def rows(self) -> list[SuspectRow]:
        """The suspects that match the filter, as lines of a CSV file."""
        ranks: Counter[Kind] = Counter()
        rows = []
        for suspect in self.suspects:
            ranks[suspect.kind] += 1
            marked = self.marks.get(suspect.name)
            rows.append(
                SuspectRow(
                    kind=suspect.kind,
                    rank=ranks[suspect.kind],
                    path=suspect.name,
                    given=self.file.classes[suspect.label],
                    likely=self.file.classes[suspect.likely],
                    score=suspect.score,
                    other=suspect.other,
                    mark=marked.mark if marked else "",
                )
            )
        return rows

    def title(self, width: int) -> str:
        """Return the number of suspects of each kind."""
        counted = Counter(suspect.kind for suspect in self.suspects)
        counts = [_count_text(kind, counted[kind]) for kind in KINDS if counted[kind]]
        order = ["the most suspicious first"] if width >= MIN_WIDTH_WITH_ORDER else []
        return f"{SUSPECTS} ─ {', '.join([*counts, *order])}" if counts else SUSPECTS

    @property
    def reasons(self) -> list[str]:
        """Sentences that say why there is no image."""
        return [f"no suspicious images, by {self._method}"]

    @property
    def notes(self) -> list[str]:
        """The number of marks, and the methods."""
        found = f"Found by {self._method}; check each before you mark it"
        return [self.marks_note or found]

    @property
    def _method(self) -> str:
        return safe_text(self.file.method, 300)

    def tile(self, index: int) -> Tile:
        """Return a suspect with its texts."""
        suspect = self.suspects[index]
        classes = self.file.classes
        given, other = (
            class_name(classes, label, MAX_NAME) for label in (suspect.label, suspect.likely)
        )
        likely = classes[suspect.likely] if suspect.likely != suspect.label else ""
        marked = self.marks.get(suspect.name)
        second, third = _captions(suspect, other)
        return Tile(
            Picture(suspect.pixels, suspect.width, suspect.height, suspect.channels),
            suspect.heatmap,
            suspect.name,
            (Content(given), second, mark_text(marked, likely) if marked else third),
            [
                Content.styled(TEXTS[suspect.kind].reason, "bold"),
                Content(""),
                Content.assemble(("given       ", "$muted"), (given, "bold")),
                *_facts(suspect, other),
                Content.assemble(("score       ", "$muted"), f"{suspect.score:.3f}"),
                *mark_fact(marked),
            ],
            likely,
        )


def _count_text(kind: Kind, count: int) -> str:
    texts = TEXTS[kind]
    return f"{count:,} {texts.one if count == 1 else texts.many}"


def _captions(suspect: Suspect, likely: str) -> tuple[Content, Content]:
    """Return the second and the third line below a suspect."""
    score = Content.styled(f"  {suspect.score:.3f}", "$muted")
    if suspect.kind == "duplicate":
        other = safe_text(PurePath(suspect.other).name, MAX_NAME)
        return Content.assemble("≈ ", (likely, "bold")), Content.styled(f"  {other}", "$muted")
    if suspect.kind == "outlier":
        return Content.styled("  outlier", "$muted"), score
    return Content.assemble("→ ", (likely, "bold")), score


def _facts(suspect: Suspect, likely: str) -> list[Content]:
    """Return lines about the other class beside an enlarged suspect."""
    if suspect.kind == "duplicate":
        return [
            Content.assemble(("other       ", "$muted"), (likely, "bold $text-error")),
            Content.assemble(("            ", "$muted"), safe_text(suspect.other, 200)),
        ]
    if suspect.kind == "outlier" and suspect.likely == suspect.label:
        return []
    return [Content.assemble(("likelier    ", "$muted"), (likely, "bold $text-error"))]
