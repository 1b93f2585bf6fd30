"""Names of the modules that code loads, in a fresh interpreter."""

import os
import subprocess
import sys

TORCH_SIDE = {
    "torch",
    "torchvision",
    "numpy",
    "cnn_engine.training.setup",
    "cnn_engine.training.trainer",
    "cnn_engine.data.dataset",
}

SCREEN_SIDE = {"textual", "plotext", "rich"}


def loaded_modules(code, tmp_path, *first_paths):
    """Return the names of the modules that the code loads.

    Args:
        code: Python source.
        tmp_path: Working directory.
        *first_paths: Directories to put first on the import path.
    """
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules, file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*map(str, first_paths), *sys.path])},
    )
    return set(result.stderr.split())


def cli_code(*arguments):
    """Return Python source that runs a command."""
    return (
        f"import sys; sys.argv = ['cnn-tui', *{arguments!r}]\n"
        "from cnn_tui.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit: pass"
    )
