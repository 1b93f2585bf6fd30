"""Modules that commands must not import, checked in a fresh interpreter."""

from pathlib import Path

import pytest

from cnn_tui.exports.formats import RECORD_FORMATS
from fresh_interpreter import SCREEN_SIDE, TORCH_SIDE, cli_code, loaded_modules
from golden import golden_run


@pytest.mark.parametrize(
    "module",
    [
        "runlog.events",
        "runlog.lines",
        "runlog.log",
        "runlog.state",
        "runlog.alarms",
        "runs.directory",
        "runs.commands",
        "runs.recorder",
        "config.schema",
        "training.control",
        "session.engine",
        "session.background",
        "checkpoints.format",
        "checkpoints.resume",
        "data.cache",
        "results.feature_maps",
        "results.model_layers",
        "results.metrics",
        "results.metrics_json",
        "results.predictions",
        "results.mistakes",
        "tracking.current",
    ],
)
def test_run_interface_imports_no_torch_and_no_textual(module, tmp_path):
    loaded = loaded_modules(f"import cnn_engine.{module}", tmp_path)
    assert not loaded & (TORCH_SIDE | SCREEN_SIDE)


def all_of(commands):
    """Return Python source that runs the commands one after the other."""
    return "\n".join(cli_code(*arguments) for arguments in commands)


def test_light_commands_import_no_torch_and_no_textual(tmp_path):
    commands = (
        ("--help",),
        ("runs",),
        ("configs",),
        ("data",),
        ("data", "clear"),
        ("run", "nope"),
        (),
        ("predict", "--help"),
        ("export", "--help"),
        ("predict", "x", "y"),
    )
    loaded = loaded_modules(all_of(commands), tmp_path)
    assert loaded >= {"cnn_tui.cli.app", "cnn_tui.cli.predict", "cnn_tui.cli.data"}
    assert not loaded & (TORCH_SIDE | {"textual", "plotext"})


def test_export_import_and_compare_import_no_torch(tmp_path):
    run = golden_run(tmp_path / "runs", "completed")
    golden_run(tmp_path / "runs", "completed", "1124-0413-teal")
    (run.path / "log.csv").write_text("loss\n1\n")
    commands = (
        *(("export", "amber", "--to", to) for to in RECORD_FORMATS),
        ("compare", "amber", "teal"),
        ("import", "runs/1124-0412-amber/log.csv"),
    )
    loaded = loaded_modules(all_of(commands), tmp_path)
    assert loaded >= {
        "cnn_tui.exports.formats",
        "cnn_engine.importers.importer",
        "cnn_engine.results.comparison",
    }
    assert not loaded & (TORCH_SIDE | {"textual", "tensorboard"})


def test_lesson_imports_no_torch(tmp_path):
    loaded = loaded_modules(cli_code("explain", "--no-ui"), tmp_path)
    assert "cnn_tui.lesson.contents" in loaded
    assert not loaded & (TORCH_SIDE | {"plotext"})


def test_dashboard_imports_no_torch_and_no_pydantic(tmp_path):
    loaded = loaded_modules("import cnn_tui.dashboard.launch, cnn_tui.headless.run", tmp_path)
    assert not loaded & (TORCH_SIDE | {"pydantic"})


def test_supervisor_imports_only_terminal_modules(tmp_path):
    loaded = loaded_modules("import cnn_tui.main", tmp_path)
    assert {name for name in loaded if name.startswith("cnn_")} == {
        "cnn_engine",
        "cnn_engine.errors",
        "cnn_engine.system",
        "cnn_engine.system.stop_signals",
        "cnn_tui",
        "cnn_tui.main",
        "cnn_tui.terminal",
        "cnn_tui.terminal.environment",
        "cnn_tui.terminal.output",
        "cnn_tui.terminal.signals",
        "cnn_tui.terminal.supervisor",
        "cnn_tui.terminal.tty",
    }
    assert not loaded & (TORCH_SIDE | SCREEN_SIDE | {"typer", "pydantic", "asyncio", "threading"})


def test_interface_for_loops_is_imported_when_it_is_used(tmp_path):
    assert "cnn_engine" not in loaded_modules("import cnn_tui", tmp_path)
    loaded = loaded_modules("import cnn_tui; cnn_tui.init(mode='disabled')", tmp_path)
    assert not loaded & (TORCH_SIDE | SCREEN_SIDE | {"pydantic"})


def test_training_imports_no_torch_compiler_no_torchvision_and_no_textual(tmp_path):
    settings = ("--epochs", "1", "--set", "model.filters=[8]", "--set", "model.hidden=[8]")
    loaded = loaded_modules(cli_code("run", "digits", "--no-ui", *settings), tmp_path)
    assert "cnn_engine.training.trainer" in loaded
    compiler = {"torch._dynamo", "torch._inductor", "sympy"}
    assert not loaded & (compiler | {"torchvision", "textual", "plotext"})


def test_failed_download_without_network_imports_no_torchvision(tmp_path):
    no_network = Path(__file__).parent / "no_network"
    code = (
        "from pathlib import Path\n"
        "from cnn_engine.data.sources.download import download_cifar10\n"
        "from cnn_engine.errors import DataError\n"
        "try: download_cifar10(Path('here'), print)\n"
        "except DataError as error: assert 'Network is unreachable' in str(error)\n"
        "else: raise AssertionError"
    )
    assert "torchvision" not in loaded_modules(code, tmp_path, no_network)
