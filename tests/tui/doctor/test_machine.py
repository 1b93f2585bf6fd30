"""Checks of the processor, threads, memory and GPUs."""

import pytest

from cnn_engine.system.threads import ThreadLimits
from cnn_engine.system.torch_report import Device
from cnn_tui.doctor import gpu, machine

H200 = Device(name="NVIDIA H200", memory_bytes=150 * 10**9, free_bytes=149 * 10**9, error="")


@pytest.fixture
def driver(monkeypatch, tmp_path):
    """Return a function that sets NVIDIA's driver: its version, and the newest CUDA for it."""

    def use(version, cuda):
        monkeypatch.setattr(gpu, "may_exist", lambda device: device == "cuda")
        monkeypatch.setattr(gpu, "AMD_DRIVER", tmp_path / "kfd")
        monkeypatch.setattr(gpu, "_cuda_of_driver", lambda: cuda)
        file = tmp_path / "version"
        file.write_text(f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Sun Feb 4\n")
        monkeypatch.setattr(gpu, "DRIVER_VERSION", file)

    return use


def test_each_gpu_is_listed_with_memory_and_driver(checks, reported, driver):
    driver("570.86.15", (12, 8))
    reported(devices=[H200, H200], cuda="12.8")
    code, found = checks()
    text = "NVIDIA H200, 149 GB of 150 GB free, driver 570.86.15 for CUDA 12.8"
    assert (code, found["GPU 0"]["value"], found["GPU 1"]["value"]) == (0, text, text)
    assert found["extra gpu"]["advice"].startswith("for the load of an NVIDIA GPU: ")


def test_gpu_on_which_nothing_can_be_computed_is_an_error(checks, reported, driver):
    driver("570.86.15", (12, 8))
    reported(devices=[Device(name="Old", memory_bytes=0, free_bytes=0, error="no kernel image")])
    code, found = checks()
    assert (code, found["GPU"]["state"]) == (2, "error")
    assert "a computation failed: no kernel image" in found["GPU"]["value"]
    assert found["GPU"]["advice"].startswith("train with --device cpu")


@pytest.mark.parametrize(
    ("build", "cuda", "value", "advice"),
    [
        ({}, (12, 8), "PyTorch is built for the CPU only", "install a build for CUDA"),
        (
            {"cuda": "13.0"},
            (12, 8),
            "built for CUDA 13.0, which the driver is too old for, driver 535.5 for CUDA 12.8",
            "update the driver, or install PyTorch for CUDA 12",
        ),
        (
            {"cuda": "12.8", "device_warnings": ["CUDA unknown error"]},
            (13, 0),
            "but PyTorch cannot use it: CUDA unknown error",
            "restart the machine",
        ),
        ({"cuda": "12.8"}, None, "it gives no reason", "another build"),
    ],
    ids=["build", "driver", "error", "silent"],
)
def test_gpu_that_pytorch_cannot_use_is_explained(  # noqa: PLR0917
    checks, reported, driver, build, cuda, value, advice
):
    """A build of PyTorch for CPUs on a machine with a GPU trains slowly in silence."""
    driver("535.5", cuda)
    reported(**build)
    code, found = checks()
    assert (code, found["GPU"]["state"]) == (0, "warning")
    assert value in found["GPU"]["value"]
    assert advice in found["GPU"]["advice"]


def test_amd_gpu_without_rocm_is_explained(checks, driver, monkeypatch, tmp_path):
    driver("1.2", None)
    (tmp_path / "version").unlink()
    (tmp_path / "kfd").touch()
    assert "not built for ROCm" in checks()[1]["GPU"]["value"]


def test_hidden_gpu_is_reported_as_hidden(checks, monkeypatch):
    monkeypatch.setattr(gpu, "may_exist", lambda _: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert checks()[1]["GPU"]["value"] == "hidden by CUDA_VISIBLE_DEVICES; training uses the CPU"


@pytest.mark.parametrize(
    ("limits", "setting", "value", "advice"),
    [
        (ThreadLimits(8, 16, float("inf")), None, "8 of 8 cores", None),
        (ThreadLimits(8, 2, float("inf")), None, "2 of 8 cores: affinity allows 2", None),
        (ThreadLimits(8, 16, 1.5), None, "2 of 8 cores: the quota of the container is 1.5", None),
        (ThreadLimits(8, 16, float("inf"), 3), None, "3 of 8 cores: the job has 3", None),
        (ThreadLimits(8, 16, 1.5), "8", "OMP_NUM_THREADS is 8", "set OMP_NUM_THREADS to 2 at most"),
        (ThreadLimits(8, 16, float("inf")), "2", "2 of 8 cores", "unset OMP_NUM_THREADS to use 8"),
        (ThreadLimits(8, 16, float("inf")), "x", "OMP_NUM_THREADS is x, which is ignored", None),
    ],
    ids=["all", "affinity", "quota", "job", "too-many", "few", "invalid"],
)
def test_number_of_threads_is_explained(checks, monkeypatch, limits, setting, value, advice):  # noqa: PLR0917
    monkeypatch.setattr(machine, "thread_limits", lambda: limits)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if setting:
        monkeypatch.setenv("OMP_NUM_THREADS", setting)
    found = checks()[1]["threads"]
    assert value in found["value"]
    assert (found["advice"] or "").startswith(advice or "")
    assert (found["state"] == "warning") == (setting == "8")


def test_memory_limit_of_a_container_counts(checks, monkeypatch):
    monkeypatch.setattr(machine, "memory_limit", lambda: 5e8)
    found = checks()[1]["memory"]
    assert found["value"].endswith("the limit of the container or job is 500 MB")
    assert (found["state"], found["facts"]["limit_bytes"]) == ("warning", 500_000_000)


@pytest.mark.parametrize(
    ("changes", "variable", "advice"),
    [
        ({"cpu_capability": "DEFAULT"}, None, "without AVX2"),
        ({"has_onednn": False}, None, "lacks oneDNN"),
        ({}, "default", "unset ATEN_CPU_CAPABILITY"),
    ],
)
def test_slow_processor_is_reported(checks, reported, monkeypatch, changes, variable, advice):  # noqa: PLR0917
    if variable:
        monkeypatch.setenv("ATEN_CPU_CAPABILITY", variable)
    reported(**changes)
    found = checks()[1]["processor"]
    assert found["state"] == "warning"
    assert advice in found["advice"]
