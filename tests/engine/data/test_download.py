"""Download of CIFAR-10, from a local server with small files in the same layout."""

import functools
import gc
import hashlib
import http.server
import io
import pickle
import socket
import tarfile
import threading
import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.dataset import load_dataset
from cnn_engine.data.sources import cifar10, download
from cnn_engine.errors import DataError
from cnn_tui.cli.app import cli

torchvision = pytest.importorskip("torchvision")


def set_url(monkeypatch, address):
    """Replace the published address of the archive."""
    monkeypatch.setattr(download, "URL", address)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", address)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Print nothing if a client disconnects, as a stopped download does."""


@pytest.fixture
def server(tmp_path_factory, monkeypatch):
    """Serve an archive in CIFAR-10's layout, and patch the checksums; return its directory."""
    root = tmp_path_factory.mktemp("server")
    contents = {}
    for name in cifar10.PYTHON_MD5:
        pixels = np.random.default_rng(0).integers(0, 256, (20, 3072), dtype=np.uint8)
        contents[name] = pickle.dumps({"data": pixels, "labels": list(range(10)) * 2})
    contents["batches.meta"] = pickle.dumps({"label_names": list("abcdefghij")})
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    for name in cifar10.PYTHON_MD5:
        monkeypatch.setitem(cifar10.PYTHON_MD5, name, md5[name])
    published = torchvision.datasets.CIFAR10
    archive_md5 = hashlib.md5((root / "cifar-10-python.tar.gz").read_bytes()).hexdigest()
    monkeypatch.setattr(published, "tgz_md5", archive_md5)
    monkeypatch.setattr(download, "ARCHIVE_MD5", archive_md5)
    monkeypatch.setattr(published, "train_list", [[n, md5[n]] for n in list(md5)[:5]])
    monkeypatch.setattr(published, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(published, "meta", published.meta | {"md5": md5["batches.meta"]})
    with Server(("127.0.0.1", 0), functools.partial(Quiet, directory=root)) as running:
        thread = threading.Thread(target=running.serve_forever, args=[0.01])
        thread.start()
        address = f"http://127.0.0.1:{running.server_port}/cifar-10-python.tar.gz"
        set_url(monkeypatch, address)
        yield root
        running.shutdown()
        thread.join()
    with warnings.catch_warnings():
        # An interrupted download leaves torchvision's connection to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def load_cifar10(path, progress=lambda *_: None):
    return load_dataset(DataConfig(source="cifar10", path=path and str(path)), 0, progress)


def test_url_matches_torchvision():
    published = torchvision.datasets.CIFAR10
    assert (published.url, published.tgz_md5) == (download.URL, download.ARCHIVE_MD5)
    assert (download.ARCHIVE, cifar10.PYTHON.directory) == (
        published.filename,
        published.base_folder,
    )


def test_missing_files_are_downloaded_with_progress(server, tmp_path, capfd):
    reported = []
    data = load_cifar10(tmp_path / "new", lambda *progress: reported.append(progress))
    assert len(data.images) == 120
    size = (server / "cifar-10-python.tar.gz").stat().st_size
    assert ("downloading CIFAR-10, bytes", size, size) in reported
    assert capfd.readouterr() == ("", ""), "a progress bar would overwrite the dashboard"


def test_data_fetch_downloads_before_a_run(server, tmp_path):
    for _ in range(2):  # the second call only verifies the files
        result = CliRunner().invoke(cli, ["data", "fetch", "--data-dir", str(tmp_path / "new")])
        assert (result.exit_code, result.stderr) == (0, "")
        directory = tmp_path / "new" / "cifar-10-batches-py"
        assert result.stdout == f"CIFAR-10 in {directory} (python files)\n"
        (server / "cifar-10-python.tar.gz").unlink(missing_ok=True)


def test_damaged_file_is_downloaded_again(server, tmp_path):
    load_cifar10(tmp_path)
    (tmp_path / "cifar-10-python.tar.gz").unlink()
    damaged = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert len(load_cifar10(tmp_path).images) == 120


def test_download_works_after_a_stopped_one(server, tmp_path):
    class Stop(Exception):  # noqa: N818
        pass

    def stop(label, *_):
        if label.startswith("downloading"):
            raise Stop

    with pytest.raises(Stop):
        load_cifar10(tmp_path, stop)
    assert len(load_cifar10(tmp_path).images) == 120


def test_missing_file_on_server_is_reported(server, tmp_path):
    (server / "cifar-10-python.tar.gz").unlink()
    with pytest.raises(
        DataError, match=r"cannot be downloaded from http://127.* \(File not found\)"
    ) as caught:
        load_cifar10(tmp_path)
    assert f"put cifar-10-batches-py/ into {tmp_path}" in str(caught.value)


def test_wrong_content_from_server_is_reported(server, tmp_path):
    (server / "cifar-10-python.tar.gz").write_bytes(b"a login page")
    with pytest.raises(DataError, match="cannot be downloaded"):
        load_cifar10(tmp_path)
    assert not list(tmp_path.glob("*.gz"))


def test_archive_in_the_default_directory_is_unpacked(server, tmp_path, monkeypatch, no_network):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (server / "cifar-10-python.tar.gz").rename(tmp_path / "data" / "cifar-10-python.tar.gz")
    assert len(load_cifar10(None).images) == 120


def test_archive_is_kept_if_unpacking_fails(server, tmp_path):
    (server / "cifar-10-python.tar.gz").rename(tmp_path / "cifar-10-python.tar.gz")
    (tmp_path / "cifar-10-batches-py").write_text("in the way")
    with pytest.raises(DataError, match="Not a directory"):
        load_cifar10(tmp_path)
    assert (tmp_path / "cifar-10-python.tar.gz").exists()


def test_silent_server_times_out_despite_a_partial_archive(tmp_path, monkeypatch):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"a part")
    monkeypatch.setattr("cnn_engine.data.sources.download.CONNECT_SECONDS", 0.1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/x.tar.gz"
        set_url(monkeypatch, address)
        monkeypatch.setattr(torchvision.datasets.utils, "_urlretrieve", pytest.fail)
        with pytest.raises(DataError, match="timed out"):
            load_cifar10(tmp_path)


def test_protocol_error_is_reported(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x.tar.gz"
        set_url(monkeypatch, address)
        with pytest.raises(DataError, match=r"\(SSH-2\.0\); put"):
            load_cifar10(tmp_path)
        thread.join()


def test_missing_network_is_reported_early(monkeypatch, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    set_url(monkeypatch, f"http://127.0.0.1:{port}/x.tar.gz")
    with pytest.raises(DataError, match="refused"):
        load_cifar10(tmp_path)
