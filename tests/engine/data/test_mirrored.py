"""Classes that a random flip makes the same."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from cnn_engine.config.presets import load_config
from cnn_engine.config.schema import DataConfig
from cnn_engine.data.checks.check import check_folder
from cnn_engine.data.checks.issues import find_issues
from cnn_engine.data.hints import hints
from cnn_engine.data.mirrored import pairs_by_content, pairs_by_name
from photos_for_tests import folder_config, load_folder


def draw_arrows(folder, names, *, is_mirrored=True, count=20):
    """Create folders of arrows, those of the second name pointing to the other side."""
    random = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(random.integers(0, 90, (24, 24), dtype=np.uint8))
            x, y = 12, int(random.integers(9, 15))
            points = [(x + 8, y), (x - 8, y - 8), (x - 8, y + 8)]
            ImageDraw.Draw(image).polygon(points, fill=255)
            if is_mirrored and name == names[1]:
                image = ImageOps.mirror(image)
            image.save(folder / name / f"{number}.png")


@pytest.mark.parametrize(
    ("classes", "pairs"),
    [
        (("left", "right"), [(0, 1)]),
        (("Turn-Right", "Turn-Left", "straight"), [(1, 0)]),
        (("links", "rechts"), [(0, 1)]),
        (("a", "b", "d"), [(1, 2)]),
        (("A", "B", "D"), []),
        (("left", "wright"), []),
        (("cat", "dog"), []),
    ],
)
def test_pairs_by_name(classes, pairs):
    """Names of classes show that left and right matter (AlexeyAB/darknet#2416)."""
    assert pairs_by_name(classes) == pairs


def hints_of(folder, *settings):
    data = load_folder(folder, image_size=24, channels=1)
    config = load_config("folder", [f"data.path={folder}", *settings])
    return list(hints(data, config))


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("left", "right"), "'left' and 'right' are named like mirror images"),
        (("one", "two"), "'one' and 'two' look like mirror images"),
    ],
)
def test_mirrored_classes_are_mentioned_by_check_and_run(tmp_path, names, text):
    """`data check` and the start of a run advise against flips where they hide the classes."""
    draw_arrows(tmp_path, names)
    checked = check_folder(folder_config(tmp_path), lambda *_: None)
    issues = {issue.kind: issue for issue in find_issues(checked, DataConfig(source="digits"))}
    assert issues["mirrored"].text.startswith(text)
    assert "--set augment.flip=none" in issues["mirrored"].advice
    (hint,) = hints_of(tmp_path)
    assert hint == f"{text}: if left and right matter, --set augment.flip=none"
    (hint,) = hints_of(tmp_path, "augment.flip=none", "evaluate.tta=mirror")
    assert hint.endswith("--set evaluate.tta=none")
    assert hints_of(tmp_path, "augment.flip=none") == []


def test_classes_that_look_alike_are_not_taken_for_mirrored(tmp_path):
    """Symmetric classes, and those that point to the same side, are not mentioned."""
    draw_arrows(tmp_path, ("one", "two"), is_mirrored=False)
    assert hints_of(tmp_path) == []


def test_few_or_random_images_are_not_taken_for_mirrored():
    """Means of few images, and of noise, say nothing."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (400, 16, 18), dtype=np.uint8)
    assert pairs_by_content(noise, np.arange(400) % 20, 20) == []
    mirrored = np.stack([noise[0], noise[0, :, ::-1]] * 9)
    assert pairs_by_content(mirrored, np.arange(18) % 2, 2) == []
    mirrored = np.concatenate([mirrored] * 2)
    assert pairs_by_content(mirrored, np.arange(36) % 2, 2) == [(0, 1)]


def test_nearly_black_images_are_mentioned(tmp_path):
    """A run on 12-bit scans in 16-bit files reports that they are nearly black (WICExplorer#10)."""
    for name in ("ill", "well"):
        (tmp_path / name).mkdir()
        for number in range(10):
            values = np.full((24, 24), 100 * number, np.uint16)
            Image.fromarray(values).save(tmp_path / name / f"{number}.png")
    (hint,) = hints_of(tmp_path)
    assert hint.startswith("the images are nearly black: no value exceeds ")
    assert "set data.max_value" in hint
