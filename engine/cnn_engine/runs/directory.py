"""Run directories: where they are, what is in them, how they are found.

::

    runs/1124-0412-amber/
        events.jsonl      what happened; the source of truth, held by the process that trains
        commands.jsonl    what is asked of the run
        best.pt           checkpoint of least validation loss
        last.pt           the latest checkpoint, which `resume` goes on from
        previous.pt       the one before, should that be damaged
        console.log       what libraries print while a dashboard has the screen, and what else is
                          printed once the terminal is lost; tracebacks
        model.json        the model's layers
        maps.bin          its first filters, and what it makes of some images on the way through
        test.json         what the model said of each image of the final test
        mistakes.json     pictures of the most confident mistakes of that test
        summary.json      a cache of the figures, so that many runs list quickly
        marks.json        what its user noted of it: a star, a name, tags, a note
    runs/.trash/          runs that were deleted, until it is emptied
"""

import json
import os
import random
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from platformdirs import user_data_path

from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.runlog.log import is_held

REMOTE_SILENCE_SECONDS = 60
"""A run on another machine that has written nothing for this long counts as interrupted."""

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
        """The run's id: its directory's name."""
        return self.path.name

    @property
    def events(self) -> Path:
        """The log."""
        return self.path / "events.jsonl"

    @property
    def commands(self) -> Path:
        """The commands file."""
        return self.path / "commands.jsonl"

    @property
    def summary(self) -> Path:
        """The cache of the figures."""
        return self.path / "summary.json"

    @property
    def marks(self) -> Path:
        """What its user noted of it."""
        return self.path / "marks.json"

    @property
    def console(self) -> Path:
        """Captured output."""
        return self.path / "console.log"

    def is_live(self, host: str) -> bool:
        """Whether a process still writes the run, which was started on `host` (empty: not known).

        On another machine, as over a shared disk, only the log's age can tell.
        """
        if host in ("", socket.gethostname()):
            return is_held(self.events)
        return time.time() - self.events.stat().st_mtime < REMOTE_SILENCE_SECONDS


def default_runs_dir() -> Path:
    """`./runs`, or the user's data directory where the working directory cannot be written."""
    here = Path("runs")
    if os.access(here if here.is_dir() else ".", os.W_OK):
        return here
    return user_data_path("cnn-tui") / "runs"


def create_run(runs_dir: Path) -> RunDirectory:
    """Make a new run directory with an id of its own, such as `1124-0412-amber`.

    Raises:
        StorageError: it cannot be made.
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
        raise StorageError(f"{runs_dir}: cannot keep runs here: {error.strerror}") from None
    raise StorageError(f"{runs_dir}: holds {len(WORDS)} runs of this very minute; wait a little")


def iter_runs(runs_dir: Path) -> Iterator[RunDirectory]:
    """Every run in the directory, in no order.

    Only real directories with a log that is a real file: a link may lead anywhere, and to read a
    pipe would never end. Names that begin with a dot are nobody's run.
    """
    try:
        entries = os.scandir(runs_dir)
    except OSError:
        return
    with entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                run = RunDirectory(Path(entry.path))
                if _is_file(f"{entry.path}/events.jsonl"):
                    yield run


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def list_runs(runs_dir: Path) -> list[RunDirectory]:
    """Every run in the directory, newest first by the start of its log."""
    return sorted(iter_runs(runs_dir), key=_started, reverse=True)


def _started(run: RunDirectory) -> float:
    """Time of the run's first event; files' own times change with every write and copy."""
    try:
        with run.events.open("rb") as log:
            return float(json.loads(log.readline())["time"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def find_run(runs_dir: Path, reference: str) -> RunDirectory:
    """The run with this id, or the only one whose id starts so, or the newest for `latest`.

    Raises:
        ConfigError: there is none, or more than one.
    """
    runs = list(iter_runs(runs_dir))
    if not runs:
        raise ConfigError(f"{runs_dir}: holds no runs yet; start one with: cnn-tui run")
    if reference == "latest":
        return max(runs, key=_started)
    matches = [run for run in runs if reference and run.id.startswith(reference)]
    exact = [run for run in matches if run.id == reference]
    if len(exact or matches) == 1:
        return (exact or matches)[0]
    if matches:
        ids = ", ".join(sorted(run.id for run in matches)[:5])
        raise ConfigError(f"run {reference!r}: {len(matches)} runs start so ({ids}, …)")
    raise ConfigError(f"run {reference!r}: none in {runs_dir} is named so; see: cnn-tui runs")
