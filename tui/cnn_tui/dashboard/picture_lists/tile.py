"""An image with its texts, and a list of such images."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from textual.content import Content

from cnn_engine.results.heatmap import Heatmap
from cnn_tui.pictures.half_blocks import Picture

MAX_NAME = 24
"""Maximum cells of a class name."""


class Tile(NamedTuple):
    """An image with its texts."""

    picture: Picture
    heatmap: Heatmap | None

    name: str
    """File path below the folder of images, or the image's number; not yet safe."""

    captions: tuple[Content, Content, Content]
    """Lines below the image in the grid."""

    facts: Sequence[Content]
    """Lines beside the enlarged image."""

    likely: str
    """Name of the class to relabel it as, not yet safe; empty if none is likelier than its own."""


class PictureList(Protocol):
    """Images of one kind; its tiles are made on access, so that only those in view are made."""

    def title(self, width: int) -> str:
        """Return the title of the panel, short if it is narrow."""

    @property
    def reasons(self) -> Sequence[str]:
        """Sentences that say why the list is empty, or why it cannot be shown."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences below the grid, if there is room."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the images."""

    def tile(self, index: int) -> Tile:
        """Return an image with its texts."""
