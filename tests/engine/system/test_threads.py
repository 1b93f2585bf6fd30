"""The number of threads is chosen before the first image is decoded."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from cnn_engine.benchmarks import estimate
from cnn_engine.config.presets import load_config
from cnn_engine.data import dataset
from cnn_engine.errors import ConfigError
from cnn_engine.system import cgroups, threads
from cnn_engine.system.threads import choose_threads
from runs_for_tests import SMALL, RunForTests
from terminal import environment


@pytest.fixture
def eight_cores(monkeypatch, tmp_path):
    """Fake eight cores with sixteen threads and no quota, and return the cgroup directory."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads.psutil, "cpu_count", lambda logical: 16 if logical else 8)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr(cgroups, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cgroups, "OWN_CGROUPS", tmp_path / "own")
    return tmp_path / "cgroup"


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")


def test_one_thread_per_core(eight_cores):
    assert choose_threads() == 8


@pytest.mark.parametrize(
    ("quota", "count"),
    [
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("max 100000", 8),
        ("9999999 100000", 8),
        ("", 8),
    ],
)
def test_threads_are_limited_by_container_quota(eight_cores, quota, count):
    write(eight_cores / "cpu.max", quota)
    assert choose_threads() == count


@pytest.mark.parametrize("name", threads.JOB_CPUS)
def test_threads_are_limited_to_the_cpus_of_the_job(eight_cores, monkeypatch, name):
    """Also where the cluster does not enforce it."""
    for value, count in (("3", 3), ("32", 8), ("0", 8), ("many", 8)):
        monkeypatch.setenv(name, value)
        assert choose_threads() == count


def test_smallest_quota_of_nested_cgroups_counts(eight_cores, tmp_path):
    write(tmp_path / "own", "0::/a.slice/b.scope")
    write(eight_cores / "a.slice" / "cpu.max", "300000 100000")
    write(eight_cores / "a.slice" / "b.scope" / "cpu.max", "500000 100000")
    write(eight_cores / "other.slice" / "cpu.max", "100000 100000")
    assert choose_threads() == 3
    write(eight_cores / "a.slice" / "b.scope" / "cpu.max", "200000 100000")
    assert choose_threads() == 2


@pytest.mark.parametrize("cgroup", ["cpu", "cpu/docker", "cpu/docker/1234"])
def test_cgroup_v1_quota_counts(eight_cores, tmp_path, cgroup):
    write(tmp_path / "own", "5:memory:/other\n4:cpu,cpuacct:/docker/1234\n0::/")
    write(eight_cores / "cpu" / "other" / "cpu.cfs_quota_us", "100000")
    write(eight_cores / "cpu" / "other" / "cpu.cfs_period_us", "100000")
    write(eight_cores / "cpu" / "cpu.cfs_quota_us", "-1")
    write(eight_cores / "cpu" / "cpu.cfs_period_us", "100000")
    assert choose_threads() == 8
    write(eight_cores / cgroup / "cpu.cfs_quota_us", "250000")
    write(eight_cores / cgroup / "cpu.cfs_period_us", "100000")
    assert choose_threads() == 3


def test_threads_are_limited_by_cpu_affinity(eight_cores, monkeypatch):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: {0, 5, 6})
    assert choose_threads() == 3


def test_smallest_memory_limit_of_nested_cgroups_counts(eight_cores, tmp_path):
    assert cgroups.memory_limit() == math.inf
    write(tmp_path / "own", "0::/a.slice/b.scope")
    write(eight_cores / "a.slice" / "memory.max", "4000000000")
    write(eight_cores / "a.slice" / "b.scope" / "memory.max", "max")
    assert cgroups.memory_limit() == 4e9
    write(eight_cores / "memory" / "memory.limit_in_bytes", "3000000000")  # version 1
    assert cgroups.memory_limit() == 3e9


@pytest.mark.parametrize(
    ("value", "count"),
    [("3", 3), ("12", 12), ("4,2", 4), ("", 8), ("0", 8), ("many", 8), ("-1", 8)],
)
def test_omp_num_threads_counts_if_valid(eight_cores, monkeypatch, value, count):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert choose_threads() == count


ON_ONE_CORE = """
import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from cnn_engine.config.presets import load_config
from cnn_engine.data.checks import check
from cnn_engine.data.sources import folder
def printing(pool):
    def make(max_workers, *arguments, **options):
        print(max_workers)
        return pool(max_workers, *arguments, **options)
    return make
folder.ThreadPoolExecutor = printing(folder.ThreadPoolExecutor)
check.ProcessPoolExecutor = printing(check.ProcessPoolExecutor)
check.CHUNK = 1
config = load_config("folder", [f"data.path={sys.argv[1]}"]).data
folder.read(config, lambda *_: None)
check.check_folder(config, lambda *_: None)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="macOS has no affinity")
@pytest.mark.parametrize("requested", ["", "3"])
def test_decoding_uses_the_chosen_number_of_threads_and_processes(tmp_path, requested):
    noise = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noise.integers(256, size=(300, 300, 3), dtype=np.uint8)).save(path)
    command = [sys.executable, "-c", ON_ONE_CORE, str(tmp_path)]
    settings = environment(OMP_NUM_THREADS=requested)
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=settings)
    assert result.stdout.split() == [requested or "1"] * 2


# Threads of PyTorch, which resizes images.


@pytest.fixture
def three_threads(monkeypatch):
    """Choose three threads, and return the numbers in use when images were read."""
    before, counts, read = torch.get_num_threads(), [], dataset._read
    monkeypatch.setattr("cnn_engine.system.device.choose_threads", lambda: 3)
    monkeypatch.setattr(
        dataset,
        "_read",
        lambda *arguments: counts.append(torch.get_num_threads()) or read(*arguments),
    )
    yield counts
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return RunForTests(tmp_path_factory.mktemp("runs"), "train.epochs=1").train()


def test_run_limits_threads_before_reading_images(tmp_path, three_threads):
    run = RunForTests(tmp_path, "train.epochs=1").train()
    assert three_threads == [3]
    assert run.live_state.prepared.threads == 3


def test_test_command_limits_threads_before_reading_images(trained, three_threads, run_cli):
    run = trained.directory
    code, _, _ = run_cli("test", run.id, "--runs-dir", run.path.parent, cwd=run.path)
    assert code == 0
    assert three_threads == [3]


def test_bench_limits_threads_before_reading_images(tmp_path, three_threads, run_cli, monkeypatch):
    def measure(*_):
        raise ConfigError("stop here")

    monkeypatch.setattr("cnn_engine.benchmarks.bench.measure", measure)
    assert run_cli("bench", "digits", cwd=tmp_path)[0] == ConfigError.exit_code
    assert three_threads == [3]


def test_estimate_limits_threads(three_threads):
    estimate.images_per_second(load_config("folder", ["data.path=x", *SMALL]), 8, 2)
    assert torch.get_num_threads() == 3
