"""Out-of-memory errors name the requested memory and the settings to reduce."""

import errno
import subprocess
import sys

import pytest
import torch

from cnn_engine.system.out_of_memory import is_out_of_memory, out_of_memory_text
from runs_for_tests import RunForTests
from terminal import environment

CUDA = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of "
    "which 1.20 GiB is free. Process 1 has 77.00 GiB memory in use."
)
MPS = (
    "MPS backend out of memory (MPS allocated: 8.90 GB, other allocations: 1.00 MB, max allowed: "
    "9.07 GB). Tried to allocate 256.00 MB on private pool."
)
CPU = (
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 123456 bytes. Error code 12"
)
ADVICE = "; try a smaller train.batch_size or data.image_size"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            torch.OutOfMemoryError(CUDA),
            "out of GPU memory (2.00 GiB more requested, 1.20 GiB of 79.10 GiB free)",
        ),
        (RuntimeError(MPS), "out of GPU memory (256.00 MB more requested, 9.07 GB in total)"),
        (RuntimeError(CPU), "out of memory (123456 bytes more requested)"),
        (RuntimeError("CUDA error: out of memory"), "out of GPU memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "out of GPU memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "out of GPU memory"),
        (MemoryError(), "out of memory"),
    ],
)
def test_message_names_requested_memory(error, text):
    assert is_out_of_memory(error)
    assert out_of_memory_text(error) == text + ADVICE


NO_MEMORY_FOR_LIBRARY = "libtorch_cpu.so: failed to map segment from shared object"


@pytest.mark.parametrize(
    "error",
    [
        ImportError(NO_MEMORY_FOR_LIBRARY),
        ImportError(f"numpy: Original error was: x.so: {NO_MEMORY_FOR_LIBRARY}"),
        OSError(f"{NO_MEMORY_FOR_LIBRARY}: Cannot allocate memory"),
    ],
)
def test_memory_refused_to_a_library_is_out_of_memory(error):
    assert is_out_of_memory(error)
    assert out_of_memory_text(error).startswith("out of memory while loading PyTorch; close other")


def test_memory_refused_to_a_process_is_out_of_memory():
    assert is_out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))


def test_memory_refused_while_loading_pytorch_fails_the_run_with_one_line(tmp_path):
    """A limit of memory that PyTorch does not fit into is no internal error."""
    code = "import resource; resource.setrlimit(resource.RLIMIT_AS, (900 << 20, 900 << 20))"
    code = f"{code}\nfrom cnn_tui.main import main; main()"
    arguments = ("run", "digits", "--no-ui", "--epochs", "1", "--runs-dir", tmp_path)
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    assert result.returncode == 4, result.stderr
    assert "Error: out of memory while loading PyTorch" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shape mismatch"),
        ValueError("out of memory"),
        OSError("disk full"),
        OSError(errno.ENOSPC, "No space left on device"),
        ImportError("No module named 'torch'"),
        ImportError(f"{NO_MEMORY_FOR_LIBRARY}: Operation not permitted"),
    ],
)
def test_other_errors_are_not_out_of_memory(error):
    assert not is_out_of_memory(error)


def test_gpu_out_of_memory_fails_run_with_exit_code(tmp_path, monkeypatch):
    def refuse(*_):
        raise torch.OutOfMemoryError(CUDA)

    monkeypatch.setattr("cnn_engine.training.learner.Learner.train_step", refuse)
    run = RunForTests(tmp_path).train()
    assert run.engine.exit_code == 4
    assert run.live_state.finished.error.startswith("out of GPU memory (2.00 GiB more")


@pytest.mark.parametrize("command", ["test", "predict"])
def test_gpu_out_of_memory_in_a_command_is_one_line(tmp_path, run_cli, monkeypatch, command):
    def refuse(*_, **__):
        raise torch.OutOfMemoryError(CUDA)

    run = RunForTests(tmp_path / "runs", "train.epochs=1").train()
    monkeypatch.setattr("cnn_engine.inference.trained.build_model", refuse)
    (tmp_path / "a.png").write_bytes(b"")
    images = [tmp_path / "a.png"] if command == "predict" else []
    code, _, errors = run_cli(command, run.directory.id, *images, cwd=tmp_path)
    assert code == 4
    assert errors.startswith("cnn-tui: out of GPU memory (2.00 GiB more requested")
