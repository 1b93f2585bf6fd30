"""Changes to saved runs: their marks, and the trash."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cnn_engine.runs import trash
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.marks import Marks, read_marks, write_marks
from cnn_engine.runs.summary import RunSummary


class RunEdits:
    """Edits the runs of a directory. Every method may raise a `UserError`."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._deleted: list[str] = []
        """Trash ids of the runs deleted through this object, the latest last."""

    def directory(self, run: RunSummary) -> RunDirectory:
        """Return the directory of a run."""
        return RunDirectory(self._runs_dir / run.run_id)

    def toggle_star(self, runs: Sequence[RunSummary]) -> None:
        """Star the runs; if all of them have a star, remove it."""
        star = not all(read_marks(self.directory(run)).star for run in runs)
        self._mark(runs, lambda marks: replace(marks, star=star))

    def set_name(self, run: RunSummary, name: str) -> None:
        """Change the name."""
        self._mark([run], lambda marks: replace(marks, name=name))

    def set_note(self, run: RunSummary, note: str) -> None:
        """Change the note."""
        self._mark([run], lambda marks: replace(marks, note=note))

    def replace_tags(
        self, runs: Sequence[RunSummary], old: Sequence[str], new: Sequence[str]
    ) -> None:
        """Replace the `old` tags of the runs by the `new` ones; their other tags are kept."""
        self._mark(runs, lambda marks: marks.without_tags(*old).with_tags(*new))

    def _mark(self, runs: Sequence[RunSummary], change: Callable[[Marks], Marks]) -> None:
        for run in runs:
            directory = self.directory(run)
            write_marks(directory, change(read_marks(directory)))

    def delete(self, runs: Sequence[RunSummary]) -> None:
        """Move the runs to the trash."""
        for run in runs:
            self._deleted.append(trash.delete(self.directory(run)).id)

    def undo_delete(self) -> RunDirectory | None:
        """Restore the run that this object deleted last, else the newest run in the trash.

        Returns:
            The restored run; None if the trash is empty.
        """
        in_trash = [run.id for run in trash.list_trash(self._runs_dir)]
        if not in_trash:
            return None
        deleted_here = [run_id for run_id in self._deleted if run_id in in_trash]
        return trash.restore(self._runs_dir, deleted_here[-1] if deleted_here else in_trash[0])
