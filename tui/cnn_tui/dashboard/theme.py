"""Colour themes, with one accent for training and one for validation."""

from dataclasses import replace

from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme


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
        **_shades("correct", "#10141b", "#0a8ae6", 0.22, 0.36, 0.50, 0.65),
        **_shades("confused", "#10141b", "#e0402a", 0.34, 0.54, 0.65, 0.70),
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
        **_shades("correct", "#f7f8fa", "#2a90f0", 0.18, 0.34, 0.49, 0.66),
        **_shades("confused", "#f7f8fa", "#f05a48", 0.18, 0.36, 0.56, 0.66),
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
    | _shades("confused", "#10141b", "#e08000", 0.28, 0.40, 0.54, 0.64)
    | _run_colors("#56b4e9 #e69f00 #009e73 #d55e00 #cc79a7 #f0e442 #d5dbe5 #5f8dd3"),
)
COLOR_BLIND_LIGHT = replace(
    LIGHT,
    name="cnn-tui-color-blind-light",
    # The same palette, darker where text on white would be too faint.
    primary="#0072b2",
    secondary="#9c5700",
    accent="#0072b2",
    success="#00704f",
    warning="#7d6200",
    error="#a83c00",
    variables=LIGHT.variables
    | {"footer-key-foreground": "#0072b2"}
    | _shades("confused", "#f7f8fa", "#f0a020", 0.20, 0.34, 0.50, 0.61)
    | _run_colors("#0072b2 #9c5700 #00704f #a83c00 #a0447c #7d6200 #1e2530 #3a6bbf"),
)
HIGH_CONTRAST = Theme(
    name="cnn-tui-high-contrast",
    dark=True,
    primary="#5cc8ff",
    secondary="#ffd23f",
    accent="#5cc8ff",
    foreground="#ffffff",
    background="#000000",
    surface="#101010",
    panel="#1c1c1c",
    success="#4dff88",
    warning="#ffb000",
    error="#ff7a70",
    variables={
        "muted": "#d0d0d0",
        "band": "#303030",
        "button-focus-text-style": "bold",
        "faint": "#949494",
        "scrollbar": "#949494",
        "scrollbar-background": "#000000",
        "border": "#b0b0b0",
        "footer-background": "#000000",
        "footer-key-foreground": "#5cc8ff",
        "footer-description-foreground": "#d0d0d0",
        **_run_colors("#5cc8ff #ffd23f #4dff88 #ff7a70 #d6a8ff #40e0d0 #ff9ad5 #e6f04a"),
        **_shades("correct", "#000000", "#0090ff", 0.38, 0.50, 0.66, 0.74),
        **_shades("confused", "#000000", "#ff3020", 0.28, 0.50, 0.66, 0.74),
    },
)
TERMINAL = Theme(
    name="cnn-tui-terminal",
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_yellow",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        "muted": "ansi_default",
        "band": "ansi_default",  # no colour of sixteen is a shade of an unknown background
        "button-focus-text-style": "bold",
        "faint": "ansi_bright_black",
        "scrollbar": "ansi_bright_black",
        "scrollbar-background": "ansi_default",
        "border": "ansi_bright_black",
        "footer-background": "ansi_default",
        "footer-key-foreground": "ansi_cyan",
        "footer-description-foreground": "ansi_default",
        **_run_colors(
            "ansi_cyan ansi_yellow ansi_green ansi_red ansi_magenta ansi_blue ansi_bright_magenta "
            "ansi_bright_green"
        ),
        "correct-1": "ansi_default",
        "confused-1": "ansi_default",
        **{f"correct-{number}": "ansi_blue" for number in range(2, 5)},
        **{f"confused-{number}": "ansi_red" for number in range(2, 5)},
    },
)
"""The sixteen colours that the user has chosen for the terminal."""

THEMES = {
    "dark": DARK,
    "light": LIGHT,
    "color-blind": COLOR_BLIND,
    "color-blind-light": COLOR_BLIND_LIGHT,
    "high-contrast": HIGH_CONTRAST,
    "terminal": TERMINAL,
}
"""Themes by their name on the command line."""
