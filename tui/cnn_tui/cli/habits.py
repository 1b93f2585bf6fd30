"""Hints for commands, options and arguments that are habits from other programs."""

import os
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from cnn_engine.config.paths import exists, expand_home, is_directory, is_file
from cnn_engine.config.preset_files import list_presets
from cnn_engine.data.image_files import EXTENSIONS
from cnn_engine.errors import ConfigError, UserError
from cnn_engine.runs.directory import default_runs_dir, is_run
from cnn_engine.runs.lookup import find_run
from cnn_tui.text.shell import shell_command

COMMANDS = {
    "run": "train fit start new",
    "resume": "continue",
    "runs": "list ls",
    "show": "info summary results",
    "watch": "view open",
    "test": "eval evaluate",
    "predict": "classify infer",
    "compare": "diff",
    "delete": "rm remove",
    "trash restore": "restore undelete",
    "mark": "tag rename star",
    "stop": "kill cancel",
    "configs": "presets",
    "data check": "check",
    "data fetch": "download",
    "bench": "benchmark",
    "--help": "help",
    "--version": "version",
}
"""Commands of this program, and words for them elsewhere."""

SETTINGS = {
    "optimizer.lr": "learning_rate",
    "optimizer.name": "optimizer opt",
    "optimizer.weight_decay": "wd",
    "schedule.shape": "scheduler",
    "schedule.warmup": "warmup_epochs",
    "model.name": "model network",
    "model.weights": "pretrained",
    "train.batch_size": "batch bs",
    "train.precision": "amp fp16 bf16",
    "train.patience": "early_stopping",
    "data.image_size": "img_size imgsz",
    "data.validation_fraction": "val_split",
}
"""Config keys, and options for them elsewhere."""

OPTIONS = {
    "--epochs": "num_epochs max_epochs",
    "--data-dir": "data dataset data_path",
    "--runs-dir": "output output_dir log_dir logdir",
    "--device cuda": "gpu gpus cuda",
    "--device cpu": "cpu no_cuda",
    "--no-ui": "headless quiet",
    "--name": "run_name experiment",
}
"""Options of `run`, and words for them elsewhere."""

TRAINING = ("run", "bench", "resume")
"""Commands whose output is a run."""

PLACES = ("", "-dir", "-directory", "-file", "-path")
"""Ends of an option that add nothing to its meaning."""

MIN_SIMILAR = len("--out")
"""Shortest option that is taken for a form of another."""


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
    elif word in list_presets() or (path.suffix == ".toml" and is_file(path)):
        suggested = ["run", *words]
    elif is_run(path):
        suggested = ["watch", *words]
    elif is_directory(path):
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
    if group != "data" or not is_directory(words[0]):
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
        if similar := _similar_option(option, known):
            meant = f"{similar} {shlex.quote(value)}" if value else similar
            return f"{command}: no option {option}; use {meant}"
        ours = _option_for(option.removeprefix("--").replace("-", "_").lower(), value)
        if ours.startswith("--runs-dir") and command not in TRAINING and "log" not in option:
            continue  # the output of another command is no directory of runs
        if ours.partition(" ")[0] in known:
            return f"{command}: no option {option}; use {ours}"
        if ours.startswith("--set"):
            return f"{command}: no option {option}; a run is configured when it starts: " + (
                shell_command("run", *shlex.split(ours))
            )
    return ""


def _similar_option(option: str, known: Collection[str]) -> str:
    """Return the only option that is a longer or shorter form: `--output` for `--out`."""
    option = option.replace("_", "-").lower()
    found = [
        name
        for name in known
        if len(min(name, option, key=len)) >= MIN_SIMILAR
        and (name.startswith(option) or option.removeprefix(name) in PLACES)
    ]
    return found[0] if len(found) == 1 else ""


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
        ConfigError: it is a directory, a table or the id of a run, or there are further arguments.
    """
    if config is not None and others:
        meant = shell_command("run", config, "--data-dir", others[0])
        raise ConfigError(f"run: takes one config, not {others[0]!r} too; for images: {meant}")
    path = Path(expand_home(config or ""))
    if is_table(path):
        settings = ("--set", "data.source=csv", "--set", f"data.table={config}")
        meant = shell_command("run", "folder", "--data-dir", "DIR", *settings)
        raise ConfigError(
            f"{config}: is a table, no config; to train on the images in DIR: {meant}"
        )
    if config is None or config in list_presets() or is_file(path):
        return
    if is_run(path) or (not is_directory(path) and os.sep not in config and _is_reference(config)):
        meant = shell_command("run", "--like", config)
        raise ConfigError(f"{config}: is a run, no config; to train it again: {meant}")
    if is_directory(path):
        meant = shell_command("run", "folder", "--data-dir", config)
        raise ConfigError(f"{config}: is a directory, no config; to train on its images: {meant}")


def check_folder(folder: Path) -> None:
    """Refuse a table in place of the folder of its images.

    Raises:
        ConfigError: it is one.
    """
    if is_table(folder):
        meant = shell_command("data", "check", "DIR", "--table", str(folder))
        raise ConfigError(f"{folder}: is a table; to check the images in DIR: {meant}")


def is_table(path: Path) -> bool:
    """Return True for a CSV or TSV file."""
    return path.suffix.lower() in (".csv", ".tsv") and is_file(path)


def check_reference(reference: str, *meant: str) -> None:
    """Refuse a file or a directory that is no run in place of a run.

    Args:
        reference: Argument that should name a run.
        *meant: Command that was meant.

    Raises:
        ConfigError: it is one.
    """
    path = Path(reference)
    if exists(path) and not is_run(path) and not _is_reference(reference):
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
