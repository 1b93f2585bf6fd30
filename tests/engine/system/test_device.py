"""Device, precision and threads chosen for the machine."""

import subprocess
import sys

import pytest
import torch

from cnn_engine.config.schema import TrainConfig
from cnn_engine.errors import ConfigError
from cnn_engine.system import device
from cnn_engine.system.device import choose_precision


def test_fp16_is_refused_on_cpu():
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        choose_precision(TrainConfig(precision="fp16"), torch.device("cpu"))


@pytest.mark.parametrize(
    ("bf16", "capability", "precision"),
    [(True, (9, 0), "bf16"), (False, (7, 5), "fp16"), (False, (6, 1), "fp32")],
)
def test_precision_of_gpus(monkeypatch, bf16, capability, precision):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert choose_precision(TrainConfig(), torch.device("cuda")) == precision


ZEN, XEON = "AMD EPYC 9655 96-Core Processor", "Intel(R) Xeon(R) Processor"


@pytest.mark.parametrize(
    ("name", "capabilities", "precision"),
    [
        (ZEN, {"avx512_bf16"}, "bf16"),
        (ZEN, {"avx512_bf16", "avx512_fp16"}, "bf16"),
        (ZEN, set(), "fp32"),
        (XEON, {"avx512_bf16"}, "bf16"),  # Cooper Lake
        (XEON, {"avx512_bf16", "avx512_fp16"}, "fp32"),  # Sapphire Rapids with AMX disabled
        (XEON, {"avx512_bf16", "avx512_fp16", "amx_bf16"}, "bf16"),
        ("", {"arm_bf16"}, "bf16"),
    ],
)
def test_precision_of_cpus(monkeypatch, name, capabilities, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(capabilities, True))
    monkeypatch.setattr(device, "processor_name", lambda: name)
    assert choose_precision(TrainConfig(), torch.device("cpu")) == precision


COUNT_PAGE_FAULTS = """
import resource, sys, threading
from cnn_engine.system.malloc import keep_freed_memory
if sys.argv[1] == "tuned":
    assert keep_freed_memory()
import torch
from cnn_engine.config.schema import ModelConfig
from cnn_engine.models.build import build_model
model = build_model(ModelConfig(), 3, 32, 10).to(memory_format=torch.channels_last)
images = torch.randn(128, 3, 32, 32).to(memory_format=torch.channels_last)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def train():
    for step in range(6):
        if step == 3:
            before = faults()
        model(images).sum().backward()
    print(faults() - before)
thread = threading.Thread(target=train)  # as the engine does
thread.start()
thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has such settings")
def test_freed_memory_is_reused_without_page_faults():
    tuned, default = (
        int(subprocess.check_output([sys.executable, "-c", COUNT_PAGE_FAULTS, mode]))
        for mode in ("tuned", "default")
    )
    assert tuned < 0.5 * default
