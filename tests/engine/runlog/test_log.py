"""Writing and reading of a log that may be incomplete, damaged or missing."""

import errno
import os
import resource
import subprocess
import sys

import pytest

from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.runlog.events import EpochStarted
from cnn_engine.runlog.lines import to_line
from cnn_engine.runlog.log import GONE, LogReader, LogWriter, write_advice
from cnn_engine.runlog.state import NEWER_FORMAT
from cnn_engine.runs.summary import read_state
from cnn_engine.session.engine import Engine
from cnn_engine.storage.locks import is_locked
from golden import golden_run

FIRST, SECOND, THIRD = (EpochStarted(time=float(number), epoch=number) for number in (1, 2, 3))


def test_reader_follows_writer(tmp_path):
    path = tmp_path / "events.jsonl"
    reader = LogReader(path)
    assert list(reader.poll()) == []
    with LogWriter(path) as writer:
        writer.append(FIRST)
        assert list(reader.poll()) == [FIRST]
        assert list(reader.poll()) == []
        writer.append(SECOND)
        writer.append(THIRD)
        assert list(reader.poll()) == [SECOND, THIRD]
    assert list(LogReader(path).poll()) == [FIRST, SECOND, THIRD]


def test_incomplete_last_line_is_read_later(tmp_path):
    path = tmp_path / "events.jsonl"
    line = (to_line(FIRST) + "\n").encode()
    reader = LogReader(path)
    polled = []
    with path.open("ab", buffering=0) as log:
        for position in range(len(line)):
            log.write(line[position : position + 1])
            polled.append(list(reader.poll()))
    assert polled == [[]] * (len(line) - 1) + [[FIRST]]
    assert reader.damaged_lines == 0


def test_damaged_lines_are_counted_and_skipped(tmp_path):
    path = tmp_path / "events.jsonl"
    lines = [to_line(FIRST).encode(), os.urandom(64).replace(b"\n", b" "), b"{}", b""]
    path.write_bytes(b"\n".join([*lines, to_line(SECOND).encode(), b""]))
    reader = LogReader(path)
    assert list(reader.poll()) == [FIRST, SECOND]
    assert reader.damaged_lines == 3


def test_line_longer_than_chunk_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_engine.runlog.log.CHUNK_BYTES", 7)
    path = tmp_path / "events.jsonl"
    path.write_text(to_line(FIRST) + "\n" + to_line(SECOND) + "\n")
    assert list(LogReader(path).poll()) == [FIRST, SECOND]


def test_too_long_line_is_damaged_and_the_next_is_read(tmp_path, monkeypatch):
    """A file of zeros, as after a power cut, is read in bounded memory and linear time."""
    monkeypatch.setattr("cnn_engine.runlog.log.CHUNK_BYTES", 10)
    monkeypatch.setattr("cnn_engine.runlog.log.MAX_LINE_BYTES", 200)
    path, event = tmp_path / "events.jsonl", EpochStarted(epoch=1)
    line = to_line(event).encode()
    path.write_bytes(bytes(500) + line + b"\n" + line + b"\n" + line[:20])
    reader = LogReader(path)
    assert list(reader.poll()) == [event]
    assert (reader.damaged_lines, reader.bytes_read) == (1, 500 + 2 * len(line) + 2)
    with path.open("ab") as file:
        file.write(line[20:] + b"\n")
    assert list(reader.poll()) == [event]


def test_second_writer_is_refused(tmp_path):
    path = tmp_path / "events.jsonl"
    assert not is_locked(path)
    with LogWriter(path):
        assert is_locked(path)
        with pytest.raises(StorageError, match="another process is writing this run"):
            LogWriter(path)
    assert not is_locked(path)
    LogWriter(path).close()


def test_killed_writer_releases_lock(tmp_path):
    path = tmp_path / "events.jsonl"
    code = (
        "import sys, pathlib; from cnn_engine.runlog.log import LogWriter\n"
        "writer = LogWriter(pathlib.Path(sys.argv[1])); print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as writer:
        assert writer.stdout.readline() == b"held\n"
        assert is_locked(path)
        writer.kill()
        writer.wait()
    assert not is_locked(path)


def test_events_are_written_once_disk_has_space(tmp_path):
    path = tmp_path / "events.jsonl"
    writer = LogWriter(path)
    writer.append(FIRST)
    size = path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))  # ten more bytes
    try:
        writer.append(SECOND)
        assert path.stat().st_size == size + 10
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.append(THIRD)
    writer.close()
    assert list(LogReader(path).poll()) == [FIRST, SECOND, THIRD]


def test_unwritten_events_raise_on_close(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer = LogWriter(tmp_path / "events.jsonl")
    monkeypatch.setattr(os, "write", refuse)
    writer.append(FIRST)
    writer.append(SECOND)
    with pytest.raises(StorageError, match="last 2 events could not be written: No space left"):
        writer.close()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (GONE, "move the directory back"),
        (os.strerror(errno.ENOSPC), "free disk space"),
        (os.strerror(errno.EDQUOT), "free disk space"),
        (os.strerror(errno.EIO), "check the disk"),
    ],
)
def test_advice_fits_the_write_error(error, advice):
    assert write_advice(error).startswith(advice)


def test_error_names_unwritable_log(tmp_path):
    with pytest.raises(StorageError, match="nowhere"):
        LogWriter(tmp_path / "nowhere" / "events.jsonl")


def newer_run(runs_dir):
    """Create a run whose log has a newer format and an unknown event."""
    run = golden_run(runs_dir, "stopped")
    text = run.events.read_text().replace('"format":1', '"format":2', 1)
    run.events.write_text(text + '{"kind":"Invented","time":1.0}\n')
    return run


def test_log_of_newer_format_is_shown_with_warning(tmp_path):
    state, damaged_lines = read_state(newer_run(tmp_path))
    assert (len(state.epochs) > 0, damaged_lines) == (True, 0)
    assert [notice.text for notice in state.notices if "newer version" in notice.text] == [
        NEWER_FORMAT
    ]


def test_run_of_newer_format_is_not_resumed(tmp_path):
    run = newer_run(tmp_path)
    before = run.events.read_bytes()
    with pytest.raises(ConfigError, match="a newer version of cnn-tui wrote it"):
        Engine.resume(run)
    assert run.events.read_bytes() == before
