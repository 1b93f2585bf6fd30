"""An issue of an image folder."""

from collections.abc import Sized
from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["stop", "warning", "note"]
"""`stop` prevents training, `warning` may lower accuracy, `note` is information."""


@dataclass(frozen=True, kw_only=True)
class Issue:
    """An issue of the folder."""

    kind: str
    """Identifier for scripts, such as `unreadable`."""

    severity: Severity

    text: str
    """Description, one sentence."""

    advice: str = ""
    """Suggested fix."""

    files: tuple[str, ...] = ()
    """Affected files, relative to the folder; groups are joined by ` = ` or ` ~ `."""

    def as_dict(self) -> dict[str, object]:
        """Return the issue as plain values, for `--json`."""
        return {
            "kind": self.kind,
            "weight": self.severity,
            "text": self.text,
            "advice": self.advice,
            "files": self.files,
        }


def count_text(items: Sized, one: str, many: str = "") -> str:
    """Return a count with its noun: `1 file`, `1,234 files`."""
    return f"{len(items):,} {one if len(items) == 1 else many or f'{one}s'}"
