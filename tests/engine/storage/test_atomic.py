"""Atomic writes: several writers at once, and the unfinished files of killed ones."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from cnn_engine.storage import atomic
from cnn_engine.storage.atomic import create_temporary, remove_temporary_files, write_atomically
from terminal import environment


@pytest.mark.parametrize("write", [write_atomically, atomic.write_cache])
def test_threads_that_write_one_file_do_not_disturb_each_other(tmp_path, write):
    path, contents = tmp_path / "marks.json", [bytes([65 + number]) * 50_000 for number in range(8)]
    errors = []

    def work(content):
        try:
            for _ in range(20):
                write(path, content)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=[content]) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        remove_temporary_files(tmp_path)
        assert not path.exists() or path.read_bytes() in contents
    assert errors == []
    assert list(tmp_path.iterdir()) == [path]


def test_only_files_of_dead_processes_are_removed(tmp_path):
    code = (
        "import os, sys, time; from pathlib import Path\n"
        "from cnn_engine.storage.atomic import create_temporary\n"
        "print(create_temporary(Path(sys.argv[1]))[1], flush=True); time.sleep(100)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "last.pt")]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        other = process.stdout.readline().strip()
        descriptor, mine = create_temporary(tmp_path / "last.pt")
        remove_temporary_files(tmp_path)
        assert {str(path) for path in tmp_path.iterdir()} == {other, str(mine)}
        process.send_signal(signal.SIGKILL)
        process.wait()
        remove_temporary_files(tmp_path)
        assert list(tmp_path.iterdir()) == [mine]
    os.close(descriptor)
    remove_temporary_files(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_pipes_links_and_directories_are_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe.tmp")
    (tmp_path / "directory.tmp").mkdir()
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "link.tmp").symlink_to("kept")
    remove_temporary_files(tmp_path)
    assert {"directory.tmp", "kept", "link.tmp"} <= {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "kept").read_text() == "kept"


def test_written_files_have_the_usual_mode(tmp_path):
    path = tmp_path / f"{'é' * 120}.json"
    write_atomically(path, b"")
    (tmp_path / "plain").touch(0o644)
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
