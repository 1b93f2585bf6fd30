"""The cache of decoded image folders is shared by several processes."""

import subprocess
import sys

from cached_folders import cache_files
from cnn_engine.data import cache
from photos_for_tests import load_folder
from terminal import environment

LOAD = """
import sys
from cnn_engine.config.schema import DataConfig
from cnn_engine.data.sources import folder

print("ready", flush=True)
sys.stdin.readline()
config = DataConfig(source="folder", path=sys.argv[1], image_size=16)
print(folder.read(config, lambda *_: None).images[:, 0, 0, 0].tolist(), flush=True)
"""


def test_two_processes_can_decode_at_once(pets):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", LOAD, str(pets)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        assert process.communicate()[0] == f"{[*range(10, 20), *range(200, 210)]}\n"
    assert [path.suffix for path in cache_files()] == [".pixels"]


def test_removed_entry_stays_mapped_in_other_process(pets):
    load_folder(pets)
    mapped = load_folder(pets).images
    assert len(cache.clear()) == 1
    assert cache_files() == []
    assert mapped[:, 0, 0, 0].tolist() == [*range(10, 20), *range(200, 210)]
