"""Colours: calm, one accent for what is being learned, one for what is being checked."""

from dataclasses import replace

from textual.theme import Theme

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
        "band": "#2f4a63",
        "button-focus-text-style": "bold",
        "faint": "#3a4556",
        "scrollbar": "#3a4556",
        "scrollbar-background": "#10141b",
        "border": "#2c3645",
        "footer-background": "#10141b",
        "footer-key-foreground": "#6cb2eb",
        "footer-description-foreground": "#8a94a6",
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
        "band": "#b7cfe4",
        "button-focus-text-style": "bold",
        "faint": "#b9c1cc",
        "scrollbar": "#b9c1cc",
        "scrollbar-background": "#f7f8fa",
        "border": "#c3cad5",
        "footer-background": "#f7f8fa",
        "footer-key-foreground": "#1f6fb2",
        "footer-description-foreground": "#5b6675",
    },
)
COLOR_BLIND = replace(
    DARK,
    name="cnn-tui-color-blind",
    # The palette of Okabe and Ito, whose colours everyone tells apart.
    primary="#56b4e9",
    secondary="#e69f00",
    accent="#56b4e9",
    success="#009e73",
    warning="#f0e442",
    error="#d55e00",
    variables=DARK.variables | {"footer-key-foreground": "#56b4e9"},
)
THEMES = {"dark": DARK, "light": LIGHT, "color-blind": COLOR_BLIND}
"""By what a user calls them."""
