"""Commands that install further libraries, for each way in which the program was installed."""

import json
import shutil
import sys
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest

from cnn_engine.system import installation, program
from cnn_engine.system.installation import extra_command, find_installation, install_command

CHECKOUT = {"url": "file:///home/me/my%20project", "dir_info": {"editable": True}}
DIRECTORY = {"url": "file:///home/me/project", "dir_info": {}}
WHEEL = {"url": "file:///home/me/cnn_tui-0.2.0-py3-none-any.whl", "archive_info": {}}
REPOSITORY = {
    "url": "https://git.example/cnn-tui",
    "vcs_info": {"vcs": "git", "requested_revision": "v0.2.0", "commit_id": "12"},
}


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Return a function that makes this the program of an installation."""

    def install(environment, origin, *, has_pip=True, tools=()):
        prefix = tmp_path / environment
        (prefix / "bin").mkdir(parents=True)
        (prefix / "bin/python").touch()
        found = SimpleNamespace(
            read_text=lambda _: json.dumps(origin) if origin else None,
            requires=["torch>=2", "onnx>=1.18; extra == 'export'", 'six; extra == "export"'],
        )
        monkeypatch.setattr(sys, "prefix", str(prefix))
        monkeypatch.setattr(sys, "executable", str(prefix / "bin/python"))
        monkeypatch.setattr(installation, "distribution", lambda _: found)
        monkeypatch.setattr(installation, "find_spec", lambda _: object() if has_pip else None)
        monkeypatch.setattr(shutil, "which", lambda name: tools.get(name) if tools else None)
        monkeypatch.chdir(tmp_path)
        return prefix

    return install


@pytest.mark.parametrize(
    ("origin", "source", "is_editable"),
    [
        (CHECKOUT, "/home/me/my project", True),
        (DIRECTORY, "/home/me/project", False),
        (WHEEL, "/home/me/cnn_tui-0.2.0-py3-none-any.whl", False),
        (REPOSITORY, "git+https://git.example/cnn-tui@v0.2.0", False),
        (None, "", False),
    ],
    ids=["checkout", "directory", "wheel", "repository", "index"],
)
def test_source_of_an_installation_is_found(install, origin, source, is_editable):
    install(".venv", origin)
    assert find_installation() == ("pip", source, is_editable)


@pytest.mark.parametrize("origin", [CHECKOUT, WHEEL, None], ids=["checkout", "wheel", "index"])
def test_command_names_the_libraries_and_the_interpreter(install, origin):
    """An extra of `cnn-tui` could be that of another project on a package index."""
    install(".venv", origin)
    command = "-m pip install 'onnx>=1.18' six"
    assert extra_command("export") == f".venv/bin/python {command}"


def test_interpreter_on_the_path_is_called_by_its_name(install, tmp_path):
    prefix = tmp_path / ".venv"
    install(".venv", CHECKOUT, tools={"python": f"{prefix}/bin/python"})
    assert install_command("six") == "python -m pip install six"


def test_environment_without_pip_is_that_of_uv(install):
    install(".venv", CHECKOUT, has_pip=False, tools={"uv": "/bin/uv"})
    assert install_command("six") == "uv pip install --python .venv/bin/python six"


def test_pipx_adds_the_libraries_to_its_environment(install):
    (install("venvs/cnn-tui", DIRECTORY) / "pipx_metadata.json").touch()
    assert extra_command("export") == "pipx inject cnn-tui 'onnx>=1.18' six"


def test_tool_of_uv_is_installed_again_with_the_libraries(install):
    (install("tools/cnn-tui", DIRECTORY) / "uv-receipt.toml").touch()
    expected = "uv tool install --with 'onnx>=1.18' --with six /home/me/project"
    assert extra_command("export") == expected


def test_uvx_is_called_with_the_libraries_and_in_suggestions(install, monkeypatch):
    prefix = install("archive-v0/dM6z", REPOSITORY)
    monkeypatch.setattr(sys, "argv", [str(prefix / "bin/cnn-tui")])
    source = "git+https://git.example/cnn-tui@v0.2.0"
    assert install_command("six") == f"uvx --with six --from {source} cnn-tui"
    assert program.shell_command("runs") == f"uvx --from {source} cnn-tui runs"


def test_library_is_named_if_the_program_is_not_installed(install, monkeypatch):
    install(".venv", None)

    def find(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installation, "distribution", find)
    assert extra_command("export", "onnx") == ".venv/bin/python -m pip install onnx"
