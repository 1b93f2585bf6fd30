"""Dialogs for changes to saved runs."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, repeat

from cnn_engine.runs.marks import checked_name, checked_note, parse_tags
from cnn_engine.runs.summary import RunSummary
from cnn_tui.dashboard.dialogs.choice import Answer, ChoiceDialog
from cnn_tui.dashboard.dialogs.value import ValueDialog
from cnn_tui.text.safe import safe_text

PRESET_KEYS = "123456789abcdefghijklmnoprstuvwxyz"
"""Keys of the presets in their order; q closes every dialog."""


def name_dialog(run: RunSummary) -> ValueDialog[str]:
    """Return the dialog for a run's name."""
    explanation = f"Name of {safe_text(run.run_id)}; its directory stays the same."
    return ValueDialog("Name", explanation, run.name, checked_name)


def note_dialog(run: RunSummary) -> ValueDialog[str]:
    """Return the dialog for a run's note."""
    return ValueDialog("Note", "Free text.", run.note, checked_note)


def tags_dialog(runs: Sequence[RunSummary], tags: Sequence[str]) -> ValueDialog[list[str]]:
    """Return the dialog for tags of the runs, which have `tags` in common."""
    explanation = f"Separated by spaces or commas, for {_names(runs)}."
    return ValueDialog("Tags", explanation, " ".join(tags), parse_tags)


def sort_dialog(check: Callable[[str], str]) -> ValueDialog[str]:
    """Return the dialog for a column to sort by; `check` returns it or raises a `UserError`."""
    explanation = "Column, series or config key, e.g. test, val/f1, lr; -key for descending."
    return ValueDialog("Sort by", explanation, "", check)


def delete_dialog(runs: Sequence[RunSummary], undo_key: str) -> ChoiceDialog:
    """Return the dialog that confirms a deletion; its result is `delete` or empty."""
    noun = "" if len(runs) > 1 else "run "
    return ChoiceDialog(
        f"Delete {noun}{_names(runs)}?",
        f"Moved to the trash; {undo_key} undoes it.",
        Answer("y", "Delete", "delete"),
        Answer("n", "Cancel", ""),
    )


def preset_dialog(descriptions: Mapping[str, str]) -> ChoiceDialog:
    """Return the dialog that selects a preset; its result is the name.

    Args:
        descriptions: What each preset trains, by name.
    """
    keys = chain(PRESET_KEYS, repeat(""))
    answers = [
        Answer(key, name, name, description)
        for (name, description), key in zip(descriptions.items(), keys, strict=False)
    ]
    return ChoiceDialog("Which preset?", "You can change its settings next.", *answers)


def _names(runs: Sequence[RunSummary]) -> str:
    return f"{len(runs)} runs" if len(runs) > 1 else safe_text(runs[0].run_id)
