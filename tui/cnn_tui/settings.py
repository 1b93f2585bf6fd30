"""Settings of a dashboard: how it looks and what it does when the terminal is lost."""

from enum import StrEnum
from typing import NamedTuple


class ThemeName(StrEnum):
    """What a theme is called on the command line."""

    DARK = "dark"
    LIGHT = "light"
    COLOR_BLIND = "color-blind"


class OnHangup(StrEnum):
    """What becomes of a run that loses its terminal."""

    TRAIN = "train"
    STOP = "stop"


class Options(NamedTuple):
    """What was asked of a dashboard."""

    theme: ThemeName = ThemeName.DARK
    ascii: bool = False
    mouse: bool = True
    bell: bool = False


DEFAULTS = Options()
