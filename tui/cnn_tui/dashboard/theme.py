"""Colour themes, with one accent for training and one for validation."""

from dataclasses import replace

from textual.color import Color
from textual.theme import Theme


def _run_colors(colors: str) -> dict[str, str]:
    """Return the variables with the colours of compared runs, `run-1` and so on."""
    return {f"run-{number}": color for number, color in enumerate(colors.split(), start=1)}


def _shades(kind: str, background: str, color: str, *parts: float) -> dict[str, str]:
    """Return the variables with the shades of the confusion matrix, such as `correct-1`.

    The parts of the colour are chosen so that a palette of 256 colours has them, too, and the text
    keeps a contrast of about 4.5.
    """
    return {
        f"{kind}-{number}": Color.parse(background).blend(Color.parse(color), part).hex
        for number, part in enumerate(parts, start=1)
    }


DARK = Theme(
    name="cnn-tui-dark",
    dark=True,
    primary="#6cb2eb",
    secondary="#e8b45a",
    accent="#6cb2eb",
    foreground="#d5dbe5",
    background="#10141b",
    surface="#171d27",
    panel="#1b222d",
    success="#7fc98b",
    warning="#e0a458",
    error="#e5706b",
    variables={
        "muted": "#8a94a6",
        "band": "#1f3042",
        "button-focus-text-style": "bold",
        "faint": "#3a4556",
        "scrollbar": "#3a4556",
        "scrollbar-background": "#10141b",
        "border": "#2c3645",
        "footer-background": "#10141b",
        "footer-key-foreground": "#6cb2eb",
        "footer-description-foreground": "#8a94a6",
        **_run_colors("#6cb2eb #e8b45a #7fc98b #e5706b #b794f4 #4fd1c5 #f0a3c4 #c9d26b"),
        **_shades("correct", "#10141b", "#0a8ae6", 0.18, 0.34, 0.54, 0.66),
        **_shades("confused", "#10141b", "#e0402a", 0.25, 0.50, 0.64, 0.70),
    },
)
LIGHT = Theme(
    name="cnn-tui-light",
    dark=False,
    primary="#1f6fb2",
    secondary="#a8650b",
    accent="#1f6fb2",
    foreground="#1e2530",
    background="#f7f8fa",
    surface="#eef0f4",
    panel="#e4e8ee",
    success="#2c7a3f",
    warning="#96590a",
    error="#b3312c",
    variables={
        "muted": "#5b6675",
        "band": "#d6e3f0",
        "button-focus-text-style": "bold",
        "faint": "#b9c1cc",
        "scrollbar": "#b9c1cc",
        "scrollbar-background": "#f7f8fa",
        "border": "#c3cad5",
        "footer-background": "#f7f8fa",
        "footer-key-foreground": "#1f6fb2",
        "footer-description-foreground": "#5b6675",
        **_run_colors("#1f6fb2 #a8650b #2c7a3f #b3312c #6b46c1 #0f766e #b83280 #6b6f00"),
        **_shades("correct", "#f7f8fa", "#2a90f0", 0.15, 0.34, 0.49, 0.66),
        **_shades("confused", "#f7f8fa", "#f05a48", 0.14, 0.34, 0.56, 0.66),
    },
)
COLOR_BLIND = replace(
    DARK,
    name="cnn-tui-color-blind",
    # The palette of Okabe and Ito (2008), distinguishable with any colour vision.
    primary="#56b4e9",
    secondary="#e69f00",
    accent="#56b4e9",
    success="#009e73",
    warning="#f0e442",
    error="#d55e00",
    variables=DARK.variables
    | {"footer-key-foreground": "#56b4e9"}
    | _shades("confused", "#10141b", "#e08000", 0.17, 0.32, 0.48, 0.60)
    | _run_colors("#56b4e9 #e69f00 #009e73 #d55e00 #cc79a7 #f0e442 #d5dbe5 #5f8dd3"),
)
THEMES = {"dark": DARK, "light": LIGHT, "color-blind": COLOR_BLIND}
"""Themes by their name on the command line."""
