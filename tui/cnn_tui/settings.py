"""Options of a dashboard: theme, characters, mouse, bell, and the reaction to a hangup."""

from enum import StrEnum
from typing import NamedTuple


class ThemeName(StrEnum):
    """Names of the themes on the command line."""

    DARK = "dark"
    LIGHT = "light"
    COLOR_BLIND = "color-blind"


class OnHangup(StrEnum):
    """Reaction of a run to the loss of its terminal."""

    TRAIN = "train"
    STOP = "stop"


class Options(NamedTuple):
    """Options of a dashboard."""

    theme: ThemeName = ThemeName.DARK
    ascii: bool = False
    mouse: bool = True
    bell: bool = False


DEFAULT_OPTIONS = Options()
