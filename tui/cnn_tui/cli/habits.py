"""Hints for commands, options and arguments that are habits from other programs."""

import os
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from cnn_engine.config.preset_files import list_presets
from cnn_engine.data.image_files import EXTENSIONS
from cnn_engine.errors import ConfigError, UserError
from cnn_engine.runs.directory import default_runs_dir, is_run
from cnn_engine.runs.lookup import find_run
from cnn_tui.text.shell import shell_command

COMMANDS = {
    "run": "train fit start new launch",
    "resume": "continue restart",
    "runs": "list ls ps history status",
    "show": "info describe summary results cat report",
    "watch": "view open attach monitor dashboard tui follow",
    "test": "eval evaluate val validate",
    "predict": "classify infer inference detect",
    "export": "convert save",
    "compare": "diff",
    "delete": "rm remove del",
    "trash restore": "restore undelete undo",
    "mark": "tag rename star note annotate",
    "stop": "kill cancel abort quit",
    "configs": "presets config init",
    "data check": "check verify",
    "data fetch": "download fetch",
    "bench": "benchmark speed profile",
    "doctor": "diagnose env sysinfo",
    "explain": "learn lesson tutorial",
    "--help": "help",
    "--version": "version",
}
"""Commands of this program, and words for them elsewhere."""

SETTINGS = {
    "optimizer.lr": "learning_rate lr0 base_lr eta",
    "optimizer.name": "optimizer opt optim",
    "optimizer.weight_decay": "wd l2",
    "optimizer.clip_norm": "clip_grad grad_clip max_grad_norm gradient_clip_val",
    "schedule.shape": "scheduler schedule lr_scheduler lr_schedule sched",
    "schedule.warmup": "warmup_epochs warmup_steps",
    "model.name": "model network net architecture",
    "model.freeze": "freeze_backbone",
    "model.weights": "pretrained checkpoint ckpt load",
    "train.batch_size": "batch bs b batchsize",
    "train.precision": "amp fp16 bf16 mixed_precision half",
    "train.patience": "early_stopping early_stop",
    "train.label_smoothing": "smoothing",
    "data.image_size": "img_size imgsz img image_size size input_size resolution",
    "data.validation_fraction": "val_split validation_split val_ratio val_fraction",
    "data.test_fraction": "test_split test_ratio",
    "augment.flip": "hflip horizontal_flip",
    "evaluate.tta": "augment_test",
}
"""Config keys, and options for them elsewhere."""

OPTIONS = {
    "--epochs": "epoch num_epochs n_epochs max_epochs",
    "--data-dir": "data dataset data_path data_root dataset_dir images path root input",
    "--runs-dir": "output output_dir out save_dir log_dir logdir project dir results_dir",
    "--device": "accelerator",
    "--device cuda": "gpu gpus cuda",
    "--device cpu": "cpu no_cuda",
    "--seed": "random_seed random_state",
    "--no-ui": "no_tui headless quiet plain no_dashboard batch_mode",
    "--budget": "max_time time_limit",
    "--detach": "background daemon bg",
    "--name": "run_name experiment exp experiment_name",
    "--repeat": "n_seeds seeds runs",
    "--set KEY=VALUE": "config cfg override param hparams",
}
"""Options of `run`, and words for them elsewhere."""


def _by_word(table: dict[str, str]) -> dict[str, str]:
    return {word: ours for ours, words in table.items() for word in words.split()}


def command_hint(words: Sequence[str]) -> str:
    """Return a hint if the first word is no command but is clear; empty otherwise.

    Args:
        words: Command line from the word that should be a command.
    """
    word, rest = words[0], words[1:]
    path = Path(word)
    if ours := _by_word(COMMANDS).get(word.lower()):
        suggested = [*ours.split(), *([] if ours.startswith("-") else rest)]
    elif word in list_presets() or (path.suffix == ".toml" and path.is_file()):
        suggested = ["run", *words]
    elif is_run(path):
        suggested = ["watch", *words]
    elif path.is_dir():
        suggested = ["run", "folder", "--data-dir", *words]
    elif path.suffix.lower() in EXTENSIONS:
        suggested = ["predict", "latest", *words]
    elif _is_reference(word):
        suggested = ["watch", *words]
    else:
        return ""
    return f"{word}: no such command; use: {shell_command(*suggested)}"


def subcommand_hint(group: str, words: Sequence[str]) -> str:
    """Return a hint if the word after a group of commands is a directory; empty otherwise."""
    if group != "data" or not Path(words[0]).is_dir():
        return ""
    return f"data: {words[0]} is no command; use: {shell_command('data', 'check', *words)}"


def _is_reference(word: str) -> bool:
    try:
        find_run(default_runs_dir(), word)
    except UserError:
        return False
    return True


def option_hint(command: str, words: Sequence[str], known: Collection[str]) -> str:
    """Return a hint for the first option that only other programs have; empty if there is none.

    Args:
        command: Name of the command.
        words: Its command line.
        known: Options that it has.
    """
    end = words.index("--") if "--" in words else len(words)
    for position, word in enumerate(words[:end]):
        option, equals, value = word.partition("=")
        if not option.startswith("--") or option in known:
            continue
        following = words[position + 1] if position + 1 < end else ""
        if not equals and not following.startswith("-"):
            value = following
        ours = _option_for(option.removeprefix("--").replace("-", "_").lower(), value)
        if ours.partition(" ")[0] in known:
            return f"{command}: no option {option}; use {ours}"
        if ours.startswith("--set"):
            return f"{command}: no option {option}; a run is configured when it starts: " + (
                shell_command("run", *shlex.split(ours))
            )
    return ""


def _option_for(word: str, value: str) -> str:
    """Return the option of `run` for a word and its value; empty if there is none."""
    if option := _by_word(OPTIONS).get(word):
        return option if " " in option else f"{option} {shlex.quote(value)}" if value else option
    key = _by_word(SETTINGS).get(word) or _key_named(word)
    return f"--set {key}={shlex.quote(value or 'VALUE')}" if key else ""


def _key_named(word: str) -> str:
    """Return the config key whose last part is the word; empty if there is none, or several."""
    from cnn_engine.config.presets import list_keys

    found = [key for key in list_keys() if key.rpartition(".")[2] == word]
    return found[0] if len(found) == 1 else ""


def check_config(config: str | None, others: Sequence[str]) -> None:
    """Refuse a directory of images or a run in place of a config, with the command that was meant.

    Args:
        config: First argument of `run`.
        others: Further arguments, which `run` does not take.

    Raises:
        ConfigError: it is a directory or the id of a run, or there are further arguments.
    """
    if config is not None and others:
        meant = shell_command("run", config, "--data-dir", others[0])
        raise ConfigError(f"run: takes one config, not {others[0]!r} too; for images: {meant}")
    if config is None or config in list_presets() or Path(config).is_file():
        return
    path = Path(config)
    if is_run(path):
        meant = shell_command("run", "--like", config)
        raise ConfigError(f"{config}: is a run, no config; to train it again: {meant}")
    if path.is_dir():
        meant = shell_command("run", "folder", "--data-dir", config)
        raise ConfigError(f"{config}: is a directory, no config; to train on its images: {meant}")
    if os.sep not in config and _is_reference(config):
        meant = shell_command("run", "--like", config)
        raise ConfigError(f"{config}: is a run, no config; to train it again: {meant}")


def check_reference(reference: str, *meant: str) -> None:
    """Refuse a file or a directory that is no run in place of a run.

    Args:
        reference: Argument that should name a run.
        *meant: Command that was meant.

    Raises:
        ConfigError: it is one.
    """
    path = Path(reference)
    if path.exists() and not is_run(path) and not _is_reference(reference):
        raise ConfigError(f"{meant[0]}: {reference} is no run; use: {shell_command(*meant)}")


def check_images(reference: str, images: Sequence[str]) -> None:
    """Refuse `predict` without a run before its images, or without images.

    Raises:
        ConfigError: the reference is a file or a directory but no run, or there are no images.
    """
    check_reference(reference, "predict", "latest", reference, *images)
    if not images:
        meant = shell_command("predict", reference, "photos")
        raise ConfigError(f"predict: needs images, files or folders, such as: {meant}")
