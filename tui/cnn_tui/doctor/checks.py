"""All checks, in groups."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnn_engine.system.torch_report import TorchProbe
from cnn_tui.doctor.check import Check, Group
from cnn_tui.doctor.machine import check_machine
from cnn_tui.doctor.network import check_network
from cnn_tui.doctor.software import check_software
from cnn_tui.doctor.storage import check_storage
from cnn_tui.doctor.terminal import check_terminal


def find_groups(
    runs_dir: Path | None, report_progress: Callable[[str], None], *, network: bool
) -> list[Group]:
    """Return all checks.

    Args:
        runs_dir: Directory of the runs; None for the default.
        report_progress: Called with a text before work that takes seconds.
        network: Check the network too.
    """
    probe = TorchProbe()  # loads PyTorch while the other checks are made
    try:
        terminal = list(check_terminal())
        report_progress("Checking the directories")
        storage = list(check_storage(runs_dir))
        reached = []
        if network:
            report_progress("Checking the network")
            reached.append(check_network())
        report_progress("Loading PyTorch")
        report = probe.report()
    finally:
        probe.stop()
    groups = [
        Group("Software", list(check_software(report))),
        Group("Machine", list(check_machine(report))),
        Group("Storage", storage),
        Group("Terminal", terminal),
        Group("Network", reached),
    ]
    return [group for group in groups if group.checks]


def exit_code(groups: list[Group]) -> int:
    """Return the exit code of the command: not 0 if something keeps cnn-tui from training."""
    return max(check.exit_code for group in groups for check in group.checks)


def to_dict(groups: list[Group]) -> dict[str, Any]:
    """Return the checks for JSON, as `doctor.schema.json` describes them."""
    return {
        "format_version": 1,
        "exit_code": exit_code(groups),
        "checks": [_check_dict(group.name, check) for group in groups for check in group.checks],
    }


def _check_dict(group: str, check: Check) -> dict[str, Any]:
    return {
        "group": group.lower(),
        "name": check.name,
        "state": check.state,
        "value": check.value,
        "advice": check.advice or None,
        "facts": dict(check.facts),
    }
