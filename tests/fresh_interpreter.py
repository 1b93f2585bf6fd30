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


def loaded_modules(code, tmp_path, *before):
    """Names of the modules loaded after the code has run, with some places looked in before all."""
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules, file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*map(str, before), *sys.path])},
    )
    return set(result.stderr.split())


def cli_code(*arguments):
    return (
        f"import sys; sys.argv = ['cnn-tui', *{arguments!r}]\n"
        "from cnn_tui.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit: pass"
    )
