"""`cnn-tui` without a dashboard, as a real process: lines, JSON, signals, exit codes."""

import json
import os
import re
import shlex
import signal
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnn_engine.runlog.lines import from_line
from cnn_engine.runs.directory import list_runs
from cnn_engine.runs.summary import read_summary
from cnn_engine.system.stop_signals import STOP_SIGNALS
from cnn_tui.headless.run import watch_headless
from cnn_tui.live import follower
from golden import golden_run, running_run, set_local_host
from loops_for_tests import classifier, finished, gan, loop_run
from recorded_loops import LoopForTests
from runs_for_tests import wait_until
from terminal import CLI, ENDLESS_RUN, SET_SMALL, Terminal, cnn_tui, environment, without_title


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Working directory and result of a run of three epochs without a terminal."""
    work_dir = tmp_path_factory.mktemp("work")
    return work_dir, cnn_tui("run", "digits", "--epochs", "3", *SET_SMALL, cwd=work_dir)


def test_run_prints_the_output_of_the_reference_procedure(digits):
    _, result = digits
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert re.match(
        r"Epoch: 1/3 \| Time: \d+\.\d{3}s \| Training Loss: \d\.\d{4} "
        r"\| Validation Loss: \d\.\d{4}",
        lines[0],
    )
    assert re.fullmatch(
        r"Validation loss decreased \(inf --> \d\.\d{4}\)\. Saving model as best\.pt", lines[1]
    )
    end = lines.index("Finished Training")
    assert re.fullmatch(r"Test Loss: \d+\.\d{6}", lines[end + 1])
    assert [line.split(":")[0] for line in lines[end + 2 :]] == [
        *(f"Test Accuracy of {digit}" for digit in range(10)),
        "Test Accuracy (Overall)",
        "Test Accuracy (95% Interval)",
        "Test Accuracy (Top 5)",
        "Test Accuracy (Majority Class 1)",
        "Test Macro F1",
        "Test Calibration Error",
    ]
    assert re.fullmatch(r"Test Accuracy \(Overall\): \d+\.\d\d% \(\d+/359\)", lines[end + 12])


def test_class_counts_add_up_to_the_overall_count(digits):
    _, result = digits
    counts = re.findall(r"Test Accuracy of \d: .*\((\d+)/(\d+)\)", result.stdout)
    overall = re.search(r"\(Overall\).*\((\d+)/(\d+)\)", result.stdout)
    assert len(counts) == 10
    for position in (0, 1):
        assert sum(int(count[position]) for count in counts) == int(overall[position + 1])


def test_only_results_go_to_stdout(digits):
    _, result = digits
    assert "Loading PyTorch" in result.stderr
    assert "Loading" not in result.stdout
    assert "\x1b" not in result.stdout + result.stderr
    assert "\r" not in result.stderr


def test_finished_run_is_listed_shown_and_watched(digits, run_cli):
    work_dir, _ = digits
    listed = json.loads(run_cli("runs", "--json", cwd=work_dir)[1])
    assert [(run["status"], run["epochs_done"], run["preset"]) for run in listed] == [
        ("done", 3, "digits")
    ]
    code, shown, _ = run_cli("show", "latest", cwd=work_dir)
    assert code == 0
    assert "Test accuracy" in shown
    assert "\x1b" not in shown
    values = json.loads(run_cli("show", listed[0]["run_id"], "--json", cwd=work_dir)[1])
    assert values["test"]["total"] == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    assert len(values["epochs_finished"]) == 3
    code, watched, _ = run_cli("watch", cwd=work_dir)
    assert code == 0
    assert "Test Accuracy (Overall)" in watched
    assert listed[0]["run_id"] in run_cli(cwd=work_dir)[1]


def test_json_prints_one_event_per_line(tmp_path, run_cli):
    run = ("run", "digits", "--epochs", "1", "--json", *SET_SMALL)
    code, out, _ = run_cli(*run, cwd=tmp_path)
    assert code == 0
    kinds = [type(from_line(line)).__name__ for line in out.splitlines()]
    assert kinds[0] == "RunStarted"
    assert kinds[-1] == "RunFinished"
    assert "EpochFinished" in kinds


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "cifra10"), 2, "did you mean 'cifar10'"),
        (("run", "digits", "--set", "train.epoch=3"), 2, "did you mean 'train.epochs'"),
        (("run", "digits", "--epochs", "0"), 2, "train.epochs"),
        (("run", "digits", "--epochs", "many"), 2, "--epochs"),
        (("run", "folder"), 2, "--data-dir"),
        (("run", "digits", "--runs-dir", "/dev/null/runs"), 5, "cannot create a run here"),
        (("show", "zzz"), 2, "no runs yet"),
        (("watch", "zzz"), 2, "no runs yet"),
        (("configs", "nope"), 2, "no preset 'nope'"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_user_error_sets_message_and_exit_code(run_cli, tmp_path, arguments, code, message):
    exit_code, stdout, stderr = run_cli(*arguments, cwd=tmp_path)
    assert exit_code == code, stderr
    assert message in stderr
    assert "Traceback" not in stderr + stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "folder", "--data-dir", "nowhere"), 3, "nowhere: is not a folder"),
        (("run", "digits", "--device", "cuda"), 2, "no 'cuda' device"),
        (("run", "digits", "--set", "optimizer.lr=1e30"), 4, "training loss became"),
    ],
)
def test_failed_run_sets_message_and_exit_code(run_cli, tmp_path, arguments, code, message):
    if "cuda" in arguments:
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("this machine has a CUDA device")
    exit_code, stdout, stderr = run_cli(*arguments, cwd=tmp_path)
    assert exit_code == code, stderr
    assert message in stderr
    assert "Traceback" not in stderr + stdout


@pytest.fixture
def no_downloads(no_network, tmp_path, monkeypatch):
    """Have no network, and nothing that was downloaded before."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


def test_run_falls_back_to_digits_without_network(tmp_path, run_cli, no_downloads):
    code, _, errors = run_cli("run", "--epochs", "1", *SET_SMALL, cwd=tmp_path)
    assert code == 0, errors
    assert "CIFAR-10 cannot be downloaded" in errors
    assert "Training on the bundled digits instead" in errors
    (run,) = json.loads(run_cli("runs", "--json", cwd=tmp_path)[1])
    assert (run["preset"], run["status"]) == ("digits", "done")


def test_explicit_cifar10_does_not_fall_back(tmp_path, run_cli, no_downloads):
    code, _, errors = run_cli("run", "cifar10", cwd=tmp_path)
    assert code == 3
    assert "CIFAR-10 cannot be downloaded" in errors


def test_signal_ends_the_process_with_its_number(tmp_path):
    with subprocess.Popen(
        [*CLI, *ENDLESS_RUN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env=environment(),
    ) as process:
        for line in process.stdout:
            if line.startswith("Epoch: 2/"):
                break
        process.terminate()
        process.stdout.read()
        message = process.stderr.read()
    assert process.returncode == 128 + signal.SIGTERM
    assert "Stopped after" in message
    (run,) = list_runs(tmp_path / "runs")
    assert read_summary(run).status == "stopped"


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_signal_stops_the_run_with_a_checkpoint(tmp_path, run_cli, number):
    """A batch system warns by SIGUSR1, SIGUSR2 or SIGXCPU (Lightning#1455, pocket-tts#277)."""

    def send_signal():
        wait_until(lambda: any(read_summary(run).epochs_done for run in list_runs(runs_dir)))
        os.kill(os.getpid(), number)

    runs_dir = tmp_path / "runs"
    sender = threading.Thread(target=send_signal)
    sender.start()
    code, _, errors = run_cli(*ENDLESS_RUN, cwd=tmp_path)
    sender.join()
    assert code == 128 + number
    assert f", {signal.Signals(number).name}\n" in errors
    (run,) = list_runs(runs_dir)
    assert (run.path / "last.pt").stat().st_size > 1000
    assert read_summary(run).status == "stopped"


def test_run_survives_a_closed_pipe(tmp_path):
    with subprocess.Popen(
        [*CLI, "run", "digits", "--epochs", "30", *SET_SMALL],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env=environment(),
    ) as process:
        assert process.stdout.readline().startswith("Epoch: 1/30")
        process.stdout.close()
        message = process.stderr.read()
    assert process.returncode == 0
    assert "Traceback" not in message
    (run,) = map(read_summary, list_runs(tmp_path / "runs"))
    assert (run.status, run.epochs_done) == ("done", 30)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_run_survives_output_to_a_full_disk(tmp_path):
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*CLI, "run", "digits", "--epochs", "2", *SET_SMALL],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=full,
            cwd=tmp_path,
            env=environment(),
            timeout=120,
        )
    assert result.returncode == 5  # the results could not be written
    (run,) = map(read_summary, list_runs(tmp_path / "runs"))
    assert (run.status, run.epochs_done) == ("done", 2)


def test_run_works_with_closed_streams(tmp_path):
    command = shlex.join([*CLI, "run", "digits", "--epochs", "1", *SET_SMALL])
    result = subprocess.run(
        ["sh", "-c", f"{command} <&- 2>&- >lines"],
        check=False,
        cwd=tmp_path,
        env=environment(),
        timeout=120,
    )
    assert result.returncode == 0
    assert "Test Accuracy (Overall)" in (tmp_path / "lines").read_text()


def test_terminal_shows_a_progress_line_on_stderr(tmp_path):
    arguments = ["run", "digits", "--no-ui", "--epochs", "100000", "--set", "data.image_size=32"]
    with Terminal(*arguments, cwd=tmp_path, size=(100, 30)) as terminal:
        terminal.wait_for(lambda text: re.search(r"Epoch \d+/100000  batch \d+/18", text))
        terminal.kill(signal.SIGINT)
        assert terminal.wait() == 130
    assert b"\x1b" not in without_title(terminal.raw)


def test_control_characters_in_names_are_escaped(tmp_path, run_cli):
    run = golden_run(tmp_path / "runs", "completed")
    log = run.events.read_text()
    run.events.write_text(log.replace('"baseline"', r'"\u001b]0;x\u0007[red]\ud800"'))
    for command in ("watch", "show", "runs"):
        code, out, errors = run_cli(command, cwd=tmp_path)
        assert code == 0, errors
        assert "\x1b" not in out + errors
    assert r"\x1b]0;x\x07[red]\ud800" in out


def test_presets_are_listed_and_printed(tmp_path, run_cli):
    listed = run_cli("configs", cwd=tmp_path)[1].splitlines()
    assert [line.split()[0] for line in listed] == [
        "cifar10",
        "cifar10-94",
        "cifar10-96",
        "cifar10-fast",
        "digits",
        "fashion-mnist",
        "folder",
        "transfer",
    ]
    (tmp_path / "config.toml").write_text(run_cli("configs", "digits", cwd=tmp_path)[1])
    code, _, errors = run_cli("run", "config.toml", "--epochs", "1", *SET_SMALL, cwd=tmp_path)
    assert code == 0, errors


def test_version_is_printed(tmp_path, run_cli):
    assert re.fullmatch(r"cnn-tui \d+\.\d+\.\d+\n", run_cli("--version", cwd=tmp_path)[1])


def test_resume_prints_only_new_events(tmp_path, run_cli):
    run = ["run", "digits", "--epochs", "2", "--set", "train.checkpoint_seconds=1e-9", *SET_SMALL]
    with subprocess.Popen(
        [*CLI, *run, "--json"], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        while '"CheckpointSaved"' not in process.stdout.readline():
            pass
        process.kill()
    code, out, errors = run_cli("resume", "--epochs", "3", cwd=tmp_path)
    assert code == 0, errors
    assert re.match(
        r"Resumed (in epoch \d after step \d+|before epoch \d), from (last|previous)\.pt\n", errors
    )
    assert [line for line in out.splitlines() if line.startswith("Epoch: 3/3")]
    assert "Test Accuracy (Overall)" in out
    code, _, errors = run_cli("resume", cwd=tmp_path)
    assert code == 2
    assert "is done, after 3 epochs; to train longer: cnn-tui resume" in errors
    assert run_cli("resume", "--epochs", "2", cwd=tmp_path)[0] == 2
    assert run_cli("resume", "nothing", cwd=tmp_path)[0] == 2


def test_watch_of_a_killed_run_says_so_and_exits_with_4(tmp_path, run_cli):
    """A script that waits for a run by `watch` notices that the run was killed."""
    run = set_local_host(running_run(tmp_path / "runs", 60))
    code, out, errors = run_cli("watch", run.id, "--no-ui", cwd=tmp_path)
    assert code == 4
    assert "Epoch: 1/" in out
    assert f"run {run.id}: was interrupted" in errors
    assert f"cnn-tui resume {run.id}" in errors


@pytest.mark.parametrize(("name", "code"), [("completed", 0), ("failed", 4), ("stopped", 130)])
def test_watch_exits_with_the_code_of_the_run(tmp_path, run_cli, name, code):
    golden_run(tmp_path / "runs", name)
    assert run_cli("watch", "--no-ui", cwd=tmp_path)[0] == code


@pytest.mark.parametrize("program_code", [0, 3])
def test_watch_exits_with_the_code_of_a_program_that_ends_meanwhile(
    tmp_path, run_cli, monkeypatch, program_code
):
    loop = LoopForTests(tmp_path / "runs", epochs=2).train_epochs(1)
    loop.flush()
    ending = SimpleNamespace(sleep=lambda _: loop.run.finish(program_code))
    monkeypatch.setattr(follower, "time", ending)
    assert run_cli("watch", "--no-ui", cwd=tmp_path)[0] == program_code


def test_watch_prints_a_run_that_was_resumed_twice(tmp_path, run_cli):
    golden_run(tmp_path / "runs", "resumed")
    _, out, errors = run_cli("watch", cwd=tmp_path)
    assert "Resumed in epoch 3 after step 7, from last.pt" in errors
    assert "Resumed in epoch 4 after step 3, from last.pt" in errors
    epochs = [line.split("|")[0] for line in out.splitlines() if line[:6] == "Epoch:"]
    assert epochs == [f"Epoch: {number}/6 " for number in range(1, 7)]


def test_run_of_another_loop_is_printed_with_its_last_values(tmp_path, capsys):
    watch_headless(loop_run(tmp_path, finished(classifier(epochs=1)), "classifier"))
    out, err = capsys.readouterr()
    epoch, *series = out.splitlines()
    assert epoch.startswith("Epoch: 1/10 | Time: 12.000s | Training Loss: 1.4331 | Validation Loss")
    assert [line.split("  ")[0] for line in series][2:] == [
        *("gradient norm", "val/loss", "val/accuracy", "val/f1")
    ]
    assert series[-1].split() == "val/f1 0.4 (lowest 0.4, highest 0.4)".split()
    assert "Done after 0:12" in err
    watch_headless(loop_run(tmp_path, finished(gan()), "gan"))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "d_loss",
        "g_loss",
    ]
