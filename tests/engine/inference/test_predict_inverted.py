"""Images that are bright where those of the training are dark."""

import numpy as np
import pytest
from PIL import Image

from cnn_engine.data.sources.idx import read_digits
from cnn_engine.inference.polarity import looks_inverted
from cnn_engine.runs.summary import read_state

HINT = "These images are bright where those of the training are dark: try --invert"


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    """Return a folder of digits as in training, and one of the same dark on white."""
    directory = tmp_path_factory.mktemp("papers")
    digits = read_digits()
    for number in range(40):
        pixels = digits.images[number, ..., 0]
        name = digits.classes[digits.labels[number]]
        for folder, values in (("asis", pixels), ("paper", 255 - pixels)):
            (directory / folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(directory / folder / name / f"{number}.png")
    return directory


def test_dark_digits_on_white_are_noticed(digits, papers, command):
    """Predictions of inverted images come with a hint (makeyourownneuralnetwork#46)."""
    *_, errors = command("--no-pictures", papers / "paper", cwd=digits[0])
    assert errors.splitlines()[-1] == HINT
    one = next(papers.glob("paper/*/*.png"))
    assert HINT in command(one, cwd=digits[0])[2]
    assert "--invert" not in command(papers / "asis", cwd=digits[0])[2]


def test_inverted_images_are_predicted_as_the_originals(digits, papers, predict):
    """`--invert` gives the same predictions as for the images of the training's polarity."""
    expected, _ = predict(digits[0], papers / "asis")
    found, errors = predict(digits[0], "--invert", papers / "paper")
    assert [line["top"] for line in found] == [line["top"] for line in expected]
    assert "--invert" not in errors
    _, errors = predict(digits[0], "--invert", papers / "asis")
    assert errors.splitlines()[-1].endswith("leave out --invert")


def test_brightness_of_training_images_is_recorded(digits):
    """The log holds mean and deviation of the training images' brightness."""
    mean, deviation = read_state(digits[1])[0].prepared.brightness
    assert 0.2 < mean < 0.4
    assert 0 < deviation < 0.1


@pytest.mark.parametrize(
    ("value", "brightness", "is_inverted"),
    [
        (200, (0.3, 0.04), True),
        (60, (0.3, 0.04), False),
        (60, (0.8, 0.04), True),
        (200, (0.3, 0.2), False),
        (150, (0.45, 0.01), False),
        (255, (0.5, 0.0), False),
        (200, (), False),
        (200, (0.3,), False),
        (200, (float("nan"), 0.0), False),
    ],
)
def test_looks_inverted(value, brightness, is_inverted):
    """Photographs, whose brightness varies around the middle, never look inverted."""
    assert looks_inverted(np.full((8, 8, 1), value, np.uint8), brightness) is is_inverted
