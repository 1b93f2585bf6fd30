"""Very large images: decoded with little memory, or refused."""

import subprocess
import sys
import threading

import pytest
from PIL import Image

from cnn_engine.data import decode as decoding
from cnn_engine.data.checks.image_info import inspect_image
from cnn_engine.data.decode import Unreadable, decode
from cnn_engine.data.memory_budget import UNIT_BYTES, UNITS, MemoryBudget
from photos_for_tests import decompression_bomb, jpeg_of
from terminal import environment

MEGABYTE = 1 << 20

PEAK = """
import resource, sys
from pathlib import Path
from cnn_engine.data.checks.image_info import inspect_image
from cnn_engine.data.decode import decode

def peak():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

small, large = sys.argv[1:]
decode(small, 64, 3), inspect_image(small, with_digest=False)
before = peak()
pixels = decode(large, 64, 3)
assert (pixels == 128).all()
assert inspect_image(large, with_digest=False).width > 10_000
print(peak() - before)
"""


@pytest.mark.parametrize(
    ("width", "height"), [(12_000, 9_008), (16_384, 12_288)], ids=["108 MP", "200 MP"]
)
def test_photo_of_a_phone_is_decoded_with_little_memory(tmp_path, width, height):
    """Photos of 108 and 200 megapixels are used, in under 100 MB (Danbooru2021#28)."""
    (tmp_path / "small.jpg").write_bytes(jpeg_of(160, 160))
    (tmp_path / "large.jpg").write_bytes(jpeg_of(width, height))
    result = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "small.jpg"), str(tmp_path / "large.jpg")],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert int(result.stdout) < 100 * MEGABYTE
    assert result.stderr == ""


def test_png_bomb_and_larger_jpeg_are_refused(tmp_path):
    """A PNG of 2.5 gigapixels and a JPEG of 256 megapixels are refused by their headers."""
    (tmp_path / "bomb.png").write_bytes(decompression_bomb())
    with pytest.raises(Unreadable, match="too large; at most 89 megapixels"):
        decode(tmp_path / "bomb.png", 64, 3)
    content = jpeg_of(16, 16).replace(b"\0\x10\0\x10\3", b"\x40\0\x40\0\3")
    (tmp_path / "large.jpg").write_bytes(content)
    assert "too large (16384 × 16384" in inspect_image(
        str(tmp_path / "large.jpg"), with_digest=False
    )


@pytest.mark.parametrize(
    ("name", "options", "bytes_per_pixel"),
    [
        ("x.jpg", {}, 0),
        ("x.jpg", {"progressive": True}, 6),
        ("x.png", {}, 8),
        ("x.png", {"transparency": (0, 0, 0)}, 16),
    ],
)
def test_memory_of_formats(tmp_path, monkeypatch, name, options, bytes_per_pixel):
    """Memory is reserved for images that are decoded as a whole."""
    reserved = []
    budget = MemoryBudget()
    monkeypatch.setattr(
        budget, "reserved", lambda count: reserved.append(count) or MemoryBudget().reserved(count)
    )
    monkeypatch.setattr(decoding, "_memory", budget)
    Image.new("RGB", (64, 64)).save(tmp_path / name, **options)
    decode(tmp_path / name, 16, 3)
    inspect_image(str(tmp_path / name), with_digest=False)
    assert reserved == [64 * 64 * bytes_per_pixel] * 2


def test_large_images_wait_for_each_other():
    """Images that together need more than the budget are decoded in turn; small ones never wait."""
    budget, at_once, most = MemoryBudget(), [], []

    def decode_large():
        with budget.reserved(UNITS * UNIT_BYTES * 3):
            at_once.append(None)
            most.append(len(at_once))
            with budget.reserved(UNIT_BYTES - 1):
                pass
            at_once.pop()

    threads = [threading.Thread(target=decode_large) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8
