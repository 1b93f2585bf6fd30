"""What can be done with the runs of the browser: questions first, where something may be lost."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from cnn_engine.errors import ConfigError, UserError
from cnn_engine.runs import trash
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.marks import (
    Marks,
    checked_name,
    checked_note,
    checked_tag,
    read_marks,
    write_marks,
)
from cnn_engine.runs.summary import LIVE, RunSummary
from cnn_tui.dashboard.dialogs.choice import Answer, ChoiceDialog
from cnn_tui.dashboard.dialogs.value import ValueDialog
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.text.safe import safe_text

if TYPE_CHECKING:
    from cnn_tui.dashboard.screens.runs import RunsScreen


class RunActions:
    """Acts on the runs that are chosen, or else on the one under the cursor."""

    def __init__(self, screen: "RunsScreen") -> None:
        self._screen = screen
        self._deleted: list[str] = []
        """Ids in the trash of what was deleted here, the latest last."""

    @property
    def _current(self) -> RunSummary | None:
        return self._screen.rows.current

    @property
    def _targets(self) -> list[RunSummary]:
        rows = self._screen.rows
        chosen = [run for run in rows.runs if run.run_id in rows.selected]
        return chosen or ([rows.current] if rows.current else [])

    # Marks.

    def star(self) -> None:
        """Star the runs, or if all of them are, no longer."""
        runs = self._targets
        wanted = not all(run.star for run in runs)
        self._mark(runs, lambda marks: replace(marks, star=wanted))

    def rename(self) -> None:
        """Ask what the run is called."""
        if run := self._current:
            explanation = f"What {safe_text(run.run_id)} is called; its directory stays as it is."
            self._ask("Name", explanation, run.name, checked_name, partial(self._set_name, run))

    def _set_name(self, run: RunSummary, name: str) -> None:
        self._mark([run], lambda marks: replace(marks, name=name))

    def note(self) -> None:
        """Ask for a note."""
        if run := self._current:
            then = partial(self._set_note, run)
            self._ask("Note", "What is to be remembered.", run.note, checked_note, then)

    def _set_note(self, run: RunSummary, note: str) -> None:
        self._mark([run], lambda marks: replace(marks, note=note))

    def tags(self) -> None:
        """Ask for tags."""
        runs = self._targets
        if runs:
            common = set(runs[0].tags).intersection(*(run.tags for run in runs))
            whose = f"{len(runs)} runs" if len(runs) > 1 else safe_text(runs[0].run_id)
            explanation = f"Words with spaces between, for {whose}."
            old = " ".join(sorted(common))
            change = partial(self._set_tags, runs, common)
            self._ask("Tags", explanation, old, _tags_from, change)

    def _set_tags(self, runs: list[RunSummary], old: set[str], text: str) -> None:
        new = text.split()
        self._mark(runs, lambda marks: marks.without_tags(*old).with_tags(*new))

    def _mark(self, runs: list[RunSummary], change: Callable[[Marks], Marks]) -> None:
        def act() -> None:
            for run in runs:
                directory = self._screen.directory(run.run_id)
                write_marks(directory, change(read_marks(directory)))

        self._try(act)

    # The trash.

    def delete(self) -> None:
        """Ask whether to move the runs to the trash."""
        runs = self._targets
        live = [run for run in runs if run.status in LIVE]
        if live:
            self._screen.report(f"{live[0].run_id} is live: stop it first")
        elif runs:
            what = f"{len(runs)} runs" if len(runs) > 1 else f"run {safe_text(runs[0].run_id)}"
            question = ChoiceDialog(
                f"Delete {what}?",
                "u brings back what is deleted, until cnn-tui trash empty removes it for good.",
                Answer("y", "Delete", "delete"),
                Answer("n", "Keep", ""),
            )
            self._screen.app.push_screen(question, partial(self._delete, runs))

    def _delete(self, runs: list[RunSummary], answer: str | None) -> None:
        def act() -> None:
            for run in runs:
                lies = trash.delete(self._screen.directory(run.run_id))
                self._deleted.append(lies.id)
            self._screen.report(f"{len(runs)} deleted; u brings back the last")

        if answer:
            self._try(act)

    def undo(self) -> None:
        """Bring back the run that was deleted last."""
        left = [run.id for run in trash.list_trash(self._screen.runs_dir)]
        here = [run_id for run_id in self._deleted if run_id in left]
        if not left:
            self._screen.report("The trash is empty")
            return
        run_id = here[-1] if here else left[0]

        def act() -> None:
            run = trash.restore(self._screen.runs_dir, run_id)
            self._screen.report(f"{run.id} is back")

        self._try(act)

    # Training.

    def resume(self) -> None:
        """Go on with the run in the background, and watch it."""
        run = self._current
        if run is None:
            return
        if run.status in LIVE:
            self._screen.report(f"{run.run_id} goes on already: enter opens it")
        elif run.status == "done":
            command = f"cnn-tui resume {run.run_id} --epochs {run.epochs + 10}"
            self._screen.report(f"It is done; to train it longer: {command}")
        else:
            self._try(partial(self._resume, self._screen.directory(run.run_id)))

    def _resume(self, run: RunDirectory) -> None:
        from cnn_engine.session.background import resume_in_background  # noqa: PLC0415 - takes pydantic

        resume_in_background(run)
        self._screen.app.push_screen(RunScreen(run))

    def like(self) -> None:
        """Ask what is to be other in a run like this one, and train it."""
        if run := self._current:
            self._try(partial(self._open_form, self._screen.directory(run.run_id)))

    def _open_form(self, run: RunDirectory) -> None:
        from cnn_tui.dashboard.dialogs.new_run import NewRunDialog  # noqa: PLC0415 - takes pydantic

        self._screen.app.push_screen(NewRunDialog.from_run(run), self._watch)

    def new(self) -> None:
        """Ask which preset to train, and with which settings."""
        from cnn_engine.config.presets import list_presets  # noqa: PLC0415 - takes pydantic

        names = list(list_presets())
        answers = [Answer(str(number), name, name) for number, name in enumerate(names[:9], 1)]
        question = ChoiceDialog("Which preset?", "Its settings can be changed next.", *answers)
        self._screen.app.push_screen(question, self._open_preset)

    def _open_preset(self, preset: str | None) -> None:
        from cnn_tui.dashboard.dialogs.new_run import NewRunDialog  # noqa: PLC0415 - takes pydantic

        if preset:
            form = NewRunDialog.from_preset(preset, self._screen.runs_dir)
            self._screen.app.push_screen(form, self._watch)

    def _watch(self, run: RunDirectory | None) -> None:
        if run is not None:
            self._screen.app.push_screen(RunScreen(run))

    # The order.

    def sort(self) -> None:
        """Ask for any figure to sort by."""

        def read(text: str) -> str:
            self._screen.sort_by(text.strip())
            return text

        explanation = "A figure, such as test, or a key of the config, such as lr; -KEY falls."
        self._ask("Sort by", explanation, "", read, lambda _: None)

    def _ask(
        self,
        question: str,
        explanation: str,
        now: str,
        read: Callable[[str], str],
        then: Callable[[str], None],
    ) -> None:
        def checked(text: str) -> str:
            try:
                return read(text)
            except ConfigError as error:
                raise ValueError(str(error)) from None

        def answer(text: str | None) -> None:
            if text is not None:
                then(text)

        dialog = ValueDialog(question, explanation, now, checked)
        self._screen.app.push_screen(dialog, answer)

    def _try(self, act: Callable[[], None]) -> None:
        """Do it and show what came of it, or say why it could not be done."""
        try:
            act()
        except UserError as error:
            self._screen.report(str(error))
        self._screen.refresh_now()


def _tags_from(text: str) -> str:
    return " ".join(checked_tag(word) for word in text.split())
