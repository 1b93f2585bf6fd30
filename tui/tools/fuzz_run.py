"""Damage the files of a run in thousands of ways and check that every reader survives.

    python tui/tools/fuzz_run.py [--cases 3000] [--seed 0] [--only FILE]

Trains a small run, damages one file per case, and reads the run by every command and screen. A
reader may print an error of the user; exit code 1 if one raises anything else or hangs.
"""

import argparse
import asyncio
import contextlib
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

from cnn_engine.checkpoints.format import FOOTER_BYTES, Position, checksum_footer
from cnn_engine.checkpoints.resume import find_checkpoint
from cnn_engine.errors import UserError
from cnn_engine.runs.commands import Command, CommandReader, send
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.lookup import find_run
from cnn_engine.runs.marks import Marks, write_marks
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from cnn_tui.cli.app import main as command_line
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from cnn_tui.exports.formats import RECORD_FORMATS

SETTINGS = (
    *("data.image_size=8", "model.filters=[8]", "model.hidden=[16]", "train.device=cpu"),
    "train.epochs=3",
)
FILES = {
    "events.jsonl": 60,
    "commands.jsonl": 3,
    "summary.json": 5,
    "marks.json": 3,
    "model.json": 5,
    "maps.bin": 5,
    "test.json": 5,
    "mistakes.json": 5,
    "suspects.json": 5,
    "best.pt": 4,
    "last.pt": 4,
    "console.log": 1,
}
"""Files to damage, and how often."""

HANG_SECONDS = 30
MAX_LINES = 13
"""Lines of a traceback that are printed: the innermost calls."""

SCREEN_INTERVAL = 20
"""Cases per case that is also read by the dashboard, which takes a second."""

ODD_VALUES = (
    *(0, -1, 1, 2**31, 2**63 - 1, -(2**63), 2**64, 10**40, 0.0, -0.5, 1e-320, 1e308, -1e308),
    *(None, True, False, "", "nan", "\x1b]0;x\x07[red]\ud800", "é" * 5000, "../../etc/passwd"),
    *([], {}, [[]], [None], {"": {}}, [0, 0, 0], [[1, 2, 3]], [2**63 - 1] * 3),
)


def main() -> None:
    """Run the cases and print the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=FILES)
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, _hangs)
    report = os.fdopen(os.dup(1), "w")
    for descriptor in (1, 2):  # readers print there
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        original = _train(Path("original"))
        for case in range(options.cases):
            generator = random.Random(f"{options.seed} {case}")  # noqa: S311
            names = [options.only] if options.only else list(FILES)
            name = generator.choices(names, [FILES[name] for name in names])[0]
            shutil.rmtree("runs", ignore_errors=True)
            shutil.copytree(original.path.parent, "runs", symlinks=True)
            run = RunDirectory(Path("runs") / original.id)
            damage = _damage(run.path / name, generator)
            for reader, read in _readers(run, screens=case % SCREEN_INTERVAL == 0):
                if problem := _problem(read):
                    found[problem] += 1
                    if found[problem] == 1:
                        text = f"case {case}: {name} {damage}: {reader}\n{problem}\n"
                        print(text, file=report, flush=True)
    print(f"{options.cases} cases, {found.total()} problems", file=report)
    for problem, count in found.most_common():
        print(f"{count:5} {problem.splitlines()[-1]}", file=report)
    report.close()
    sys.exit(1 if found else 0)


def _train(runs_dir: Path) -> RunDirectory:
    """Return a finished run that has every file."""
    run = create_run(runs_dir)
    send(run.commands, Command(name="lr", by="fuzz", value=0.002))
    engine = Engine(Request.from_preset("digits", SETTINGS, name="fuzz"), Recorder(run))
    send(run.commands, Command(name="checkpoint", by="fuzz"))
    engine.start()
    engine.join()
    write_marks(run, Marks(star=True, note="a note", tags=("tag",)))
    run.console.write_text("printed\n")
    return run


# Damages.


def _damage(path: Path, generator: random.Random) -> str:
    """Damage a file and return how."""
    damages: list[Callable[[Path, random.Random], object]] = [_change_bytes, _replace]
    if path.suffix in (".jsonl", ".json"):
        damages += 8 * [_change_json]
    if path.suffix == ".pt":
        damages += 3 * [_change_sealed]
    damage = generator.choice(damages)
    return f"{damage.__name__} {damage(path, generator)}"


def _change_bytes(path: Path, generator: random.Random) -> str:
    content = path.read_bytes()
    start = generator.randrange(len(content) + 1)
    end = min(len(content), start + generator.choice((1, 8, 100, len(content))))
    kind = generator.choice(("cut", "delete", "flip", "insert", "repeat", "zero"))
    piece = {
        "cut": b"",
        "delete": content[end:],
        "flip": bytes(255 ^ byte for byte in content[start:end]) + content[end:],
        "insert": generator.randbytes(end - start) + content[start:],
        "repeat": content[start:end] + content[start:],
        "zero": bytes(end - start) + content[end:],
    }[kind]
    path.write_bytes(content[:start] + piece)
    return f"{kind} {start}:{end}"


def _replace(path: Path, generator: random.Random) -> str:
    """Replace the file by something else."""
    kind = generator.choice(("nothing", "empty", "directory", "fifo", "loop", "dangling", "huge"))
    path.unlink()
    match kind:
        case "empty":
            path.touch()
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path.name)
        case "dangling":
            path.symlink_to("nowhere")
        case "huge":
            with path.open("wb") as file:
                file.truncate(3 << 30)
    return kind


def _change_json(path: Path, generator: random.Random) -> str:
    """Change values, keys or lines of a JSON file."""
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    index = generator.randrange(len(lines))
    kind = generator.choice(("value", "value", "value", "all", "key", "line", "order", "deep"))
    match kind:
        case "line":
            lines.insert(generator.randrange(len(lines)), lines[index])
        case "order":
            other = generator.randrange(len(lines))
            lines[index], lines[other] = lines[other], lines[index]
        case "deep":
            lines[index] = generator.choice(("[", '{"a":')) * 100_000
        case "all":  # the same field of every line of a kind
            kind_of_line = json.loads(lines[index]).get("kind")
            keys = [key for key in json.loads(lines[index]) if key != "kind"]
            key, value = generator.choice(keys or [""]), generator.choice(ODD_VALUES)
            for number, line in enumerate(lines):
                event = json.loads(line)
                if event.get("kind") == kind_of_line:
                    lines[number] = json.dumps(event | {key: value})
            kind = f"all {kind_of_line}.{key} = {str(value)[:40]!r}"
        case _:
            content = json.loads(lines[index])
            places = list(_places(content))
            container, key = generator.choice(places)
            if kind == "key":
                del container[key]
            else:
                container[key] = generator.choice(ODD_VALUES)
            kind = f"{kind} of line {index}: {key}"
            lines[index] = json.dumps(content)
    path.write_text("\n".join(lines) + "\n")
    return kind


def _places(content: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - any JSON
    """Yield every dict or list in the content with each of its keys."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        yield content, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _change_sealed(path: Path, generator: random.Random) -> str:
    """Damage the content of a checkpoint and seal it again."""
    path.write_bytes(path.read_bytes()[:-FOOTER_BYTES])
    text = _change_bytes(path, generator)
    position = Position(generator.choice((0, 1, 2**64 - 1)), generator.choice((0, 2**64 - 1)))
    content = path.read_bytes()
    path.write_bytes(content + checksum_footer(content, position))
    return f"{text}, sealed as {position}"


# Readers.


def _readers(run: RunDirectory, *, screens: bool) -> Iterator[tuple[str, Callable[[], object]]]:
    light = [
        ("runs",),
        ("runs", "--json"),
        ("runs", "--filter", "acc>0.1 lr<1 epochs>0 time<1h", "--sort", "test"),
        ("show", run.id),
        ("show", run.id, "--json"),
        ("show", run.id, "--mistakes", "mistakes.csv"),
        ("watch", run.id, "--no-ui"),
        ("compare", run.id, run.id, "--no-ui"),
        ("compare", run.id, run.id, "--json"),
        ("mark", run.id),
        ("stop", run.id),
        ("explain", run.id, "--no-ui"),
        *(
            ("export", run.id, "--to", to, "--output", f"out-{to}", "--force")
            for to in RECORD_FORMATS
        ),
    ]
    heavy = [
        ("export", run.id, "--to", "torch-export", "--output", "out-model", "--force"),
        ("predict", run.id, "image.png"),
        ("test", run.id),
    ]
    # Without a model they end before they import PyTorch.
    has_model = run.path.joinpath("best.pt").is_file()
    for words in light + heavy if screens or not has_model else light:
        yield " ".join(words), lambda words=words: _run_command(words)
    yield "commands", lambda: list(CommandReader(run.commands).poll())
    yield "resume", lambda: _check_resume(run)
    if screens:
        yield "dashboard", lambda: asyncio.run(_open(RunScreen(run), "1234567890?"))
        yield "run browser", lambda: asyncio.run(_open(RunsScreen(run.path.parent), "ss/"))


def _run_command(words: tuple[str, ...]) -> None:
    sys.argv = ["cnn-tui", *words]
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        command_line()


def _check_resume(run: RunDirectory) -> None:
    """Check all that `resume` checks before it trains."""
    run = find_run(run.path.parent, run.id)
    state, _ = read_state(run)
    find_checkpoint(state, run, 100)
    Request.from_state(state, allow_code=False)
    Request.from_run(run)
    with Recorder(run):
        pass


async def _open(screen: Any, keys: str) -> None:  # noqa: ANN401 - a screen
    app = Dashboard(screen)
    async with app.run_test(size=(120, 36)) as pilot:
        for key in keys:
            await pilot.press(key)
        await pilot.pause()
    if app.failure:
        raise app.failure


def _problem(read: Callable[[], object]) -> str:
    """Call a reader; return the traceback of an unexpected exception, or an empty text."""
    signal.alarm(HANG_SECONDS)
    try:
        read()
    except (UserError, SystemExit):
        return ""
    except BaseException:  # noqa: BLE001 - reported
        return "".join(traceback.format_exc().splitlines(keepends=True)[-MAX_LINES:])
    finally:
        signal.alarm(0)
    return ""


def _hangs(*_: object) -> None:
    raise TimeoutError(f"hangs for {HANG_SECONDS} s")


if __name__ == "__main__":
    main()
