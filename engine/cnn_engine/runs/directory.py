"""Run directories: paths, creation and listing.

::

    runs/1124-0412-amber/
        events.jsonl      the log: the source of truth, locked by the training process
        commands.jsonl    commands to the run
        best.pt           checkpoint of the best validation
        last.pt           latest checkpoint, from which `resume` continues
        previous.pt       the checkpoint before last.pt, as a backup
        console.log       output of libraries while a dashboard is open, output after the terminal
                          is lost, and tracebacks
        model.json        layers of the model
        maps.bin          filters of the first convolution, and feature maps of sample images
        test.json         predictions for each image of the final test
        mistakes.json     images of the most confident mistakes of that test
        marks.csv         marks on images that the run used: dropped and relabelled ones
        validation.json   predictions for each validation image, of the best epoch
        validation_mistakes.json  images of mistakes of the latest validation
        margins.bin       margin of each training image in each epoch
        suspects.json     training images whose labels are suspicious
        summary.json      cached summary, so that many runs list quickly
        marks.json        the user's star, name, tags and note
        series.json       plan of the series that this run begins; series.lock is locked by
                          the process that trains it, series.stop asks that to start no other run
        notify.json       URLs and command for messages about the run, readable by its user only
    runs/.trash/          deleted runs
    runs/.names/          locks of names, while `run --resume-or-start` starts or continues a run
"""

import os
import random
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cnn_engine.config.paths import expand_home
from cnn_engine.errors import RunsDirError, StorageError
from cnn_engine.runlog.events import Event
from cnn_engine.runlog.lines import from_line
from cnn_engine.storage.locks import is_locked
from cnn_engine.storage.user_directories import NOWHERE, user_data_directory

RUNS_DIR = "CNN_TUI_RUNS_DIR"
"""Environment variable that names the default directory of runs."""

REMOTE_SILENCE_SECONDS = 60
"""Silence after which a run on another machine counts as interrupted."""

WORDS = (
    "amber aspen birch brook cedar cliff cloud coral delta dune ember fern field fjord flint frost "
    "glade grove harbor hazel heron iris ivory jade juniper lagoon lark linden lotus maple meadow "
    "mesa mist moss oak ocean olive onyx opal otter pearl pebble pine plum poppy quartz rain reed "
    "ridge river robin rowan sable sage shore sienna slate snow sparrow spruce stone storm summit "
    "teal thistle tide topaz tundra umber vale violet willow wren"
).split()


@dataclass(frozen=True)
class RunDirectory:
    """Paths of one run."""

    path: Path

    @property
    def id(self) -> str:
        """Run id: the name of the directory."""
        return self.path.name

    @property
    def events(self) -> Path:
        """Path of the log."""
        return self.path / "events.jsonl"

    @property
    def commands(self) -> Path:
        """Path of the commands file."""
        return self.path / "commands.jsonl"

    @property
    def summary(self) -> Path:
        """Path of the cached summary."""
        return self.path / "summary.json"

    @property
    def marks(self) -> Path:
        """Path of the user's marks."""
        return self.path / "marks.json"

    @property
    def notify(self) -> Path:
        """Path of the receivers of messages about the run."""
        return self.path / "notify.json"

    @property
    def console(self) -> Path:
        """Path of the captured output."""
        return self.path / "console.log"

    @property
    def launch(self) -> Path:
        """Path of the file that torchrun has locked while it runs several processes."""
        return self.path / "launch.lock"

    def is_launched(self) -> bool:
        """Return True while torchrun may start the run's processes, also after one was lost.

        Raises:
            OSError: its file cannot be opened.
        """
        return is_locked(self.launch)

    def is_live(self, host: str) -> bool:
        """Return True if a process is writing the run, or is about to.

        On another machine, with a shared disk, a run is live if its log was written recently.

        Args:
            host: Host name of the run's latest session; empty if unknown.

        Raises:
            OSError: the log cannot be opened.
        """
        if host in ("", socket.gethostname()):
            return is_locked(self.events) or self.is_launched()
        return time.time() - self.events.stat().st_mtime < REMOTE_SILENCE_SECONDS

    def is_restarting(self, host: str) -> bool:
        """Return True if no process writes the run, but torchrun is about to start them again.

        Args:
            host: As in `is_live`; False for another machine, where that is unknown.

        Raises:
            OSError: a file cannot be opened.
        """
        is_here = host in ("", socket.gethostname())
        return is_here and not is_locked(self.events) and self.is_launched()


def default_runs_dir(*, for_new_run: bool = False) -> Path:
    """Return the directory that `CNN_TUI_RUNS_DIR` names, or else `./runs`.

    Without either, it is the user's data directory if the working directory is read-only.

    Args:
        for_new_run: Skip a `./runs` that cannot be written, whose runs can still be read.

    Raises:
        StorageError: there is no home directory, or `./runs`, which is to be read, is a file.
    """
    if named := os.environ.get(RUNS_DIR):
        return Path(expand_home(named))
    here = Path("runs")
    if not for_new_run:
        check_runs_dir(here)
    if here.is_dir():
        is_usable = not for_new_run or os.access(here, os.W_OK)
    else:
        is_usable = os.access(".", os.W_OK)
    if is_usable:
        return here
    directory = user_data_directory()
    if directory == NOWHERE:
        raise RunsDirError(
            "no directory for runs: this one cannot be written, and there is no home directory"
        )
    return directory / "runs"


def check_runs_dir(path: Path) -> None:
    """Refuse a path that is something else than a directory; it may not exist yet.

    Raises:
        StorageError: it is a file.
    """
    if os.path.exists(path) and not path.is_dir():  # noqa: PTH110 - accepts every name
        raise RunsDirError(f"{path}: is not a directory")


def is_default_runs_dir(path: Path) -> bool:
    """Return True for the directory that commands use without `--runs-dir`."""
    try:
        return path.resolve() == default_runs_dir().resolve()
    except StorageError:
        return False


def create_run(runs_dir: Path) -> RunDirectory:
    """Create a run directory with a unique id, such as `1124-0412-amber`.

    Raises:
        StorageError: the directory cannot be created.
    """
    stamp = datetime.now().astimezone().strftime("%m%d-%H%M")
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        for word in random.sample(WORDS, len(WORDS)):
            path = runs_dir / f"{stamp}-{word}"
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return RunDirectory(path)
    except OSError as error:
        reason = f"{runs_dir}: cannot create a run here: {error.strerror}"
        raise RunsDirError(reason, "another directory") from None
    raise StorageError(f"{runs_dir}: already has {len(WORDS)} runs of this minute; try again later")


def iter_runs(runs_dir: Path) -> Iterator[RunDirectory]:
    """Yield the runs in a directory, unsorted.

    A run is a directory with a log that is a regular file. Links, which may lead anywhere, pipes,
    which may never end, and names that begin with a dot are skipped.
    """
    try:
        entries = os.scandir(runs_dir)
    except OSError:
        return
    with entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                path = Path(entry.path)
                if is_run(path):
                    yield RunDirectory(path)


def is_run(path: Path) -> bool:
    """Return True if a directory has a log that is a regular file."""
    try:
        return stat.S_ISREG(os.lstat(f"{path}/events.jsonl").st_mode)
    except (OSError, ValueError):  # a name with NUL
        return False


def list_runs(runs_dir: Path) -> list[RunDirectory]:
    """Return the runs in a directory, newest first by the time of their first event."""
    return sorted(iter_runs(runs_dir), key=_started, reverse=True)


def _started(run: RunDirectory) -> float:
    """Return the time of the run's first event; file times change with every write and copy."""
    first = first_event(run)
    return first.time if first else 0.0


def first_event(run: RunDirectory) -> Event | None:
    """Return the first event of a run's log; None if it is missing or damaged."""
    try:
        with run.events.open("rb") as log:
            return from_line(log.readline())
    except (OSError, ValueError):
        return None
