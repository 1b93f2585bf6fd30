"""Errors in the dashboard or the engine, and captured output, in real terminals."""

from cnn_engine.runs.summary import read_summary
from golden import golden_run
from runs_for_tests import RunForTests
from terminal import ENDLESS_RUN, SET_SMALL, Terminal, assert_restored, text_after_exit
from terminal_runs import only_run, patched_program


def test_unwritable_run_directory_is_reported(tmp_path):
    run = RunForTests(tmp_path / "runs", "train.epochs=100000")
    run.engine.start()
    run.directory.path.chmod(0o555)
    try:
        with Terminal("watch", cwd=tmp_path, obeys_modes=True) as terminal:
            terminal.wait_for("● training")
            terminal.press("p")
            terminal.wait_for("commands.jsonl: cannot be written: Permission denied")
            terminal.press("q")
            assert terminal.wait() == 0
    finally:
        run.directory.path.chmod(0o755)
        run.send("stop")
        run.engine.join()


def test_run_continues_if_the_dashboard_fails(tmp_path):
    program = patched_program(
        tmp_path,
        "from cnn_tui.dashboard.widgets.epoch_table import EpochTable",
        "EpochTable.draw",
        "if args[1].epoch > 2: raise ValueError('no such colour')",
        "return before(*args)",
        arguments=["run", "digits", "--epochs", "20", *SET_SMALL],
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        before = terminal.settings
        assert terminal.wait() == 0
        assert_restored(terminal, before)
    run = only_run(tmp_path)
    printed = text_after_exit(terminal).lstrip("\a")
    path = run.console.relative_to(tmp_path)
    assert printed.startswith(f"cnn-tui: the dashboard failed, see {path}")
    assert "Epoch: 20/20" in printed
    assert "Traceback" not in printed
    assert "ValueError: no such colour" in run.console.read_text()
    assert read_summary(run).status == "done"


def test_failed_viewer_prints_the_error(tmp_path):
    golden_run(tmp_path / "runs", "completed")
    program = patched_program(
        tmp_path,
        "from cnn_tui.dashboard.widgets.epoch_table import EpochTable",
        "EpochTable.draw",
        "raise ValueError('no such colour')",
        arguments=["watch"],
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        assert terminal.wait() == 1
    assert "no such colour" in text_after_exit(terminal)


def test_engine_error_is_shown(tmp_path):
    program = patched_program(
        tmp_path,
        "import cnn_engine.session.engine",
        "cnn_engine.session.engine.Engine._train",
        "secret = 271828; 1 / 0",
        arguments=ENDLESS_RUN,
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        terminal.wait_for("internal error: ZeroDivisionError")
        terminal.press("q")
        assert terminal.wait() == 1
    captured = only_run(tmp_path).console.read_text()
    assert "Traceback" in captured
    assert captured.count("271828") == 1  # in the source line; values of variables are not shown


def test_printed_output_goes_to_the_console_log(tmp_path):
    program = patched_program(
        tmp_path,
        "import ctypes, logging, os, subprocess, sys, warnings, cnn_engine.session.engine",
        "cnn_engine.session.engine.Engine._train",
        "print('a print'); print('an error', file=sys.stderr)",
        "warnings.warn('a warning'); logging.getLogger('library').error('a log line')",
        "os.write(1, b'written to 1\\n'); os.write(2, b'written to 2\\n')",
        "ctypes.CDLL(None).dprintf(1, b'from C\\n')",
        "subprocess.run(['sh', '-c', 'echo of a process; echo its error >&2'])",
        "before(*args)",
        arguments=["run", "digits", "--epochs", "2", *SET_SMALL],
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        terminal.wait_for("Done after")
        terminal.press("q")
        assert terminal.wait() == 0
    captured = only_run(tmp_path).console.read_text()
    for text in (
        "a print",
        "an error",
        "a warning",
        "a log line",
        "written to 1",
        "written to 2",
        "from C",
        "of a process",
        "its error",
    ):
        assert text in captured
        assert text.encode() not in terminal.raw
