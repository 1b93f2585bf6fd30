"""The shipped presets. Does not import pydantic."""

from pathlib import Path


def list_presets() -> dict[str, Path]:
    """Return the paths of the shipped configs by name, sorted."""
    paths = {path.stem: path for path in _preset_dir().glob("*.toml")}
    return dict(sorted(paths.items()))


def _preset_dir() -> Path:
    installed = Path(__file__).parents[1] / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "configs"
