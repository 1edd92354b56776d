"""The three looks: dark, light and high contrast. Colours are never all that tells two things apart."""

from textual.theme import Theme

DARK = Theme(
    name="af-dark",
    primary="#6cb6ff",
    secondary="#96d0ff",
    accent="#f0b72f",
    foreground="#d7dde4",
    background="#10151c",
    surface="#161c25",
    panel="#1e2631",
    success="#57d38c",
    warning="#f0b72f",
    error="#ff7b72",
    dark=True,
    variables={
        "af-dim": "#8b98a7",
        "af-line": "#3a4656",
        "af-busy": "#6cb6ff",
        "af-cursor": "#2b4666",
        "af-cursor-text": "#ffffff",
        "af-away": "#252f3c",
    },
)
LIGHT = Theme(
    name="af-light",
    primary="#0a58ca",
    secondary="#0b4a8f",
    accent="#8a5a00",
    foreground="#1b2430",
    background="#fbfcfd",
    surface="#ffffff",
    panel="#e9eef4",
    success="#116b36",
    warning="#8a5a00",
    error="#b4231a",
    dark=False,
    variables={
        "af-dim": "#5a6775",
        "af-line": "#b9c3ce",
        "af-busy": "#0a58ca",
        "af-cursor": "#c7ddfb",
        "af-cursor-text": "#0b1520",
        "af-away": "#e4eaf1",
    },
)
CONTRAST = Theme(
    name="af-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    accent="#ffff00",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    success="#00ff66",
    warning="#ffff00",
    error="#ff9a9a",
    dark=True,
    variables={
        "af-dim": "#d0d0d0",
        "af-line": "#d0d0d0",
        "af-busy": "#00ffff",
        "af-cursor": "#ffff00",
        "af-cursor-text": "#000000",
        "af-away": "#4a4a00",
    },
)
THEMES = (DARK, LIGHT, CONTRAST)
