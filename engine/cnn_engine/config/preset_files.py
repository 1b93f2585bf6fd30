"""The shipped presets, and the schema of configs beside them. Does not import pydantic."""

from pathlib import Path

SCHEMA_FILE = "config.schema.json"

DIRECTIVE = "#:schema "
"""Start of the comment by which editors of TOML find the schema of a file."""


def list_presets() -> dict[str, Path]:
    """Return the paths of the shipped configs by name, sorted."""
    paths = {path.stem: path for path in _directory().glob("*.toml")}
    return dict(sorted(paths.items()))


def describe_presets() -> dict[str, str]:
    """Return the first line of each shipped config, which says what it trains, by name."""
    return {
        name: path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        for name, path in list_presets().items()
    }


def schema_path() -> Path:
    """Return the path of the JSON Schema of configs."""
    return _directory() / SCHEMA_FILE


def read_preset(path: Path) -> str:
    """Return the text of a preset for a file in any directory: it names the installed schema."""
    text = path.read_text(encoding="utf-8")
    return text.replace(f"{DIRECTIVE}./{SCHEMA_FILE}", f"{DIRECTIVE}{schema_path().as_uri()}", 1)


def _directory() -> Path:
    installed = Path(__file__).parents[1] / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "configs"
