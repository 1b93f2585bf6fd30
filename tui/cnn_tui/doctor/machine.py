"""Checks of the processor, threads and memory."""

import math
import os
import platform
from collections.abc import Iterator

import psutil

from cnn_engine.system.cgroups import memory_limit
from cnn_engine.system.processor import CPU_INFO, processor_name
from cnn_engine.system.threads import omp_num_threads, thread_limits
from cnn_engine.system.torch_report import TorchReport
from cnn_tui.doctor.check import Check
from cnn_tui.doctor.gpu import check_gpus
from cnn_tui.text.numbers import bytes_text

LOW_BYTES = 1e9
"""Free memory that may not be enough."""

FEATURES = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "bf16", "sve")
"""Flags of a processor that make training faster, as `/proc/cpuinfo` names them."""


def check_machine(report: TorchReport | str) -> Iterator[Check]:
    """Yield the checks.

    Args:
        report: Report of PyTorch, or the reason why there is none.
    """
    yield _processor(report)
    yield _threads()
    yield _memory()
    yield from check_gpus(report)
    if not isinstance(report, str):
        value = f"{report.precision}, which train.precision = auto selects here"
        yield Check("precision", value, facts={"precision": report.precision})


def _processor(report: TorchReport | str) -> Check:
    name = processor_name() or platform.machine()
    try:
        words = set(CPU_INFO.read_text().split())
    except OSError:  # exists on Linux only
        words = set()
    found = [feature for feature in FEATURES if feature in words]
    facts = {"model": name, "machine": platform.machine(), "features": found, "used": None}
    value = f"{name} ({', '.join(found)})" if found else name
    if isinstance(report, str):
        return Check("processor", value, facts=facts)
    facts["used"] = report.cpu_capability
    value += f"; PyTorch uses {report.cpu_capability}"
    if wanted := os.environ.get("ATEN_CPU_CAPABILITY"):
        advice = f"unset ATEN_CPU_CAPABILITY, which is {wanted}, unless it is for a test"
        return Check("processor", value, "warning", advice, facts=facts)
    if report.cpu_capability == "DEFAULT":
        advice = "without AVX2 training takes several times longer; use another machine"
        return Check("processor", value, "warning", advice, facts=facts)
    if not report.has_onednn:
        advice = "this build of PyTorch lacks oneDNN, so that convolutions on the CPU are slow"
        return Check("processor", value, "warning", advice, facts=facts)
    return Check("processor", value, facts=facts)


def _threads() -> Check:
    limits, given = thread_limits(), omp_num_threads()
    threads, cores = given or limits.threads, limits.cores
    facts = {
        "threads": threads,
        "cores": cores,
        "allowed": limits.allowed,
        "quota": None if math.isinf(limits.quota) else limits.quota,
        "job": None if math.isinf(limits.job) else limits.job,
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
    }
    reasons = []
    if limits.allowed < cores:
        reasons.append(f"affinity allows {limits.allowed}")
    if limits.quota < cores:
        reasons.append(f"the quota of the container is {limits.quota:g}")
    if limits.job < cores:
        reasons.append(f"the job has {limits.job:g}")
    if (setting := os.environ.get("OMP_NUM_THREADS")) is not None:
        reasons.append(f"OMP_NUM_THREADS is {setting}" + (", which is ignored" * (not given)))
    value = f"{threads} of {cores} cores" + (f": {'; '.join(reasons)}" if reasons else "")
    if threads > limits.threads:
        advice = f"set OMP_NUM_THREADS to {limits.threads} at most: more threads are slower"
        return Check("threads", value, "warning", advice, facts=facts)
    if given and given < limits.threads:
        advice = f"unset OMP_NUM_THREADS to use {limits.threads}"
        return Check("threads", value, "ok", advice, facts=facts)
    return Check("threads", value, facts=facts)


def _memory() -> Check:
    memory, limit = psutil.virtual_memory(), memory_limit()
    is_limited = limit < memory.total
    facts = {
        "available_bytes": memory.available,
        "total_bytes": memory.total,
        "limit_bytes": int(limit) if is_limited else None,
    }
    value = f"{bytes_text(memory.available)} of {bytes_text(memory.total)} available"
    if is_limited:
        value += f"; the limit of the container or job is {bytes_text(limit)}"
    if min(memory.available, limit) < LOW_BYTES:
        advice = "close other programs, or use a smaller batch size"
        return Check("memory", value, "warning", advice, facts=facts)
    return Check("memory", value, facts=facts)
