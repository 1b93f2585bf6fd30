"""Images of more than 8 bits, which often use only a part of their range."""

import json
import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.checks.check import check_folder
from cnn_engine.data.checks.image_info import inspect_image
from cnn_engine.data.checks.issues import find_issues
from cnn_engine.data.decode import Unreadable, decode
from cnn_engine.data.preprocess import default_max_value
from photos_for_tests import folder_config, load_folder, png


@pytest.fixture
def scans(tmp_path):
    """Return class folders with 12-bit scans in 16-bit files, values up to 1,800."""
    random = np.random.default_rng(0)
    for name in ("ill", "well"):
        (tmp_path / name).mkdir()
        for number in range(20):
            values = random.integers(0, 1_800, (16, 16)).astype(np.uint16)
            values[0, 0] = 1_800
            Image.fromarray(values).save(tmp_path / name / f"{number}.png")
    return tmp_path


def issues_of(folder):
    checked = check_folder(folder_config(folder), lambda *_: None)
    return {issue.kind: issue for issue in find_issues(checked, DataConfig(source="digits"))}


def test_12_bit_scans_are_reported_with_a_way_to_brighten_them(scans):
    """12-bit scans in 16-bit files are nearly black, not blank (fizyr/keras-retinanet#1379)."""
    issues = issues_of(scans)
    assert "blank" not in issues
    dark = issues["dark"]
    assert (
        dark.text == "40 images of 16 bits with values up to 1,800 of 65,535: nearly black in a run"
    )
    assert dark.advice.endswith("--set data.max_value=1800")
    assert len(dark.files) == 40


def test_max_value_becomes_white_in_a_run(scans):
    """With `data.max_value`, 12-bit scans use the whole range of grey."""
    assert load_folder(scans, channels=1).images.max() == 7
    images = load_folder(scans, channels=1, max_value=1_800).images
    assert images.max() == 255
    assert 100 < images.float().mean() < 150


def test_images_of_the_full_range_are_not_reported(tmp_path):
    """14 bits are taken for dark, 16 bits are not; 8 bits never are."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(20):
            Image.new("L", (16, 16), number).save(tmp_path / name / f"{number}.png")
        Image.fromarray(np.full((16, 16), 60_000, np.uint16)).save(tmp_path / name / "deep.png")
    assert "dark" not in issues_of(tmp_path)


@pytest.mark.parametrize(("color_type", "alpha"), [(2, ()), (6, (65_535,))])
def test_colors_of_16_bits_are_stretched(tmp_path, color_type, alpha):
    """Pillow keeps the upper 8 of 16 bits of colors; these are stretched."""
    path = tmp_path / "x.png"
    path.write_bytes(png(16, color_type, (4_000, 2_000, 0, *alpha), (4_000, 2_000, 0, *alpha)))
    info = inspect_image(str(path), with_digest=False)
    assert (info.max_value, info.white) == (4_095, 65_535)
    pixel = decode(path, 16, 3, max_value=4_095)[0, 0].astype(int)
    assert np.abs(pixel - (4_000 / 4_095 * 255, 2_000 / 4_095 * 255, 0)).max() < 16


@pytest.mark.parametrize(("dtype", "value"), [(np.float32, 0.5), (np.int32, 70_000)])
def test_32_bit_images_need_max_value(tmp_path, dtype, value):
    """Without `data.max_value`, 32-bit images are refused with their greatest value."""
    path = tmp_path / "x.tif"
    Image.fromarray(np.full((16, 16), value, dtype)).save(path)
    reason = f"up to {value:g}; they need a run that is trained with data.max_value"
    with pytest.raises(Unreadable, match=reason):
        decode(path, 16, 3)
    info = inspect_image(str(path), with_digest=False)
    assert info.max_value == value
    assert info.needs_max_value
    assert set(decode(path, 16, 3, max_value=2 * value).ravel().tolist()) <= {127, 128}


@pytest.mark.parametrize("others", [0, 20])
def test_32_bit_images_are_reported_with_their_greatest_value(tmp_path, others):
    """`data check` gives the `data.max_value` that a set of float images needs."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(20):
            values = np.full((16, 16), number / 20, np.float32)
            Image.fromarray(values).save(tmp_path / name / f"{number}.tif")
        for number in range(others):
            Image.new("L", (16, 16), number).save(tmp_path / name / f"{number}.png")
    issues = issues_of(tmp_path)
    unscaled = issues["unscaled"]
    assert unscaled.advice.endswith("--set data.max_value=0.95")
    assert unscaled.severity == ("warning" if others else "stop")
    assert len(unscaled.files) == 40
    assert "unreadable" not in issues


def test_values_that_are_no_numbers_are_black(tmp_path):
    """NaN and negative values of a float image are black, infinite ones white."""
    values = np.array([[np.nan, -1, np.inf, 1]], np.float32).repeat(4, axis=0)
    Image.fromarray(values).save(tmp_path / "x.tif")
    row = decode(tmp_path / "x.tif", 4, 1, fit="stretch", max_value=1.25)[0, :, 0]
    assert row.tolist() == [0, 0, 255, 204]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_tiff_whose_white_is_zero_is_inverted(tmp_path, dtype):
    """X-ray images of 16 bits whose white is 0 have the polarity of those of 8 bits."""
    white = 255 if dtype == np.uint8 else 65_535
    content = BytesIO()
    Image.fromarray(np.full((16, 16), white // 5, dtype)).save(content, "TIFF")
    photometric = struct.pack("<HHIH", 262, 3, 1, 1)
    assert content.getvalue().count(photometric) == 1
    (tmp_path / "x.tif").write_bytes(
        content.getvalue().replace(photometric, struct.pack("<HHIH", 262, 3, 1, 0))
    )
    assert decode(tmp_path / "x.tif", 16, 1, max_value=white)[0, 0] == 204


def test_12_bit_tiff_has_the_range_of_12_bits(tmp_path):
    """A TIFF that says that it has 12 bits needs no setting."""
    assert default_max_value(Image.new("I;16", (1, 1)), "I;12") == 4_095


def test_check_as_json_contains_greatest_values(scans, run_cli):
    """`data check --json` gives the greatest value of each 16-bit image."""
    (scans / "empty").mkdir()  # then no training time is measured
    _, out, _ = run_cli("data", "check", scans, "--json", cwd=scans)
    assert {image["max_value"] for image in json.loads(out)["images"]} == {1_800}
