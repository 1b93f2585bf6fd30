"""Predictions of `cnn-tui predict`: values, batches, options."""

import numpy as np
import pytest
import torch
from PIL import Image

from cnn_engine.data.dataset import load_dataset
from cnn_engine.data.image_search import RequestedImage
from cnn_engine.inference import predict as engine
from cnn_engine.inference.prediction import Prediction, PredictionFailed
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.runs.summary import read_state
from cnn_tui.reports.predictions import as_line, name_width


def test_predict_of_test_folder_matches_the_final_test(pets, predict):
    directory, run = pets
    predictions, errors = predict(directory, "photos/test")
    test = read_state(run)[0].test
    correct = sum(row["class"] == row["truth"] for row in predictions)
    assert correct == sum(test.correct)
    assert f"40 images classified; {correct} of 40 correct by folder name" in errors
    trained = load_trained_model(run)
    data = load_dataset(trained.config.data, trained.config.train.seed, lambda *_: None)
    expected = trained.logits(data.images[data.test]).softmax(1).amax(1)
    assert [row["path"] for row in predictions] == [f"photos/{path}" for path in data.paths[-40:]]
    found = torch.tensor([row["probability"] for row in predictions])
    assert torch.allclose(found, expected, atol=1e-6)


def test_predict_of_image_files_matches_the_dataset(digits, tmp_path, predict):
    directory, run = digits
    trained = load_trained_model(run)
    data = load_dataset(trained.config.data, trained.config.train.seed, lambda *_: None)
    for number, pixels in enumerate(data.images[:30].numpy()):
        Image.fromarray(pixels[..., 0]).save(tmp_path / f"{number:02}.png")
    predictions, _ = predict(directory, tmp_path, "--top", "3")
    probabilities = trained.logits(data.images[:30]).softmax(1)
    expected = [str(int(label)) for label in probabilities.argmax(1)]
    assert [row["class"] for row in predictions] == expected
    found = [[entry["probability"] for entry in row["top"]] for row in predictions]
    top3 = probabilities.sort(dim=1, descending=True)[0][:, :3]
    assert np.allclose(found, top3, atol=1e-6)


def test_piped_lines_are_aligned_without_colours(pets, command):
    _, out, errors = command("photos/test/cat", cwd=pets[0])
    lines = out.splitlines()
    assert len(lines) == 20
    assert len({line.index("photos/") for line in lines}) == 1
    assert lines[0].split()[1].endswith("%")
    assert "\x1b" not in out + errors
    assert errors == "20 images classified\n"


def test_equal_logits_predict_the_first_class(digits, monkeypatch):
    trained = load_trained_model(digits[1])
    logits = torch.randint(0, 4, (200, 10)).float()
    monkeypatch.setattr(type(trained), "logits", lambda *_: logits)
    top_classes = engine._top_classes(trained, [np.zeros((8, 8, 1), np.uint8)] * 200, 2)
    assert [int(top[0][0]) for top in top_classes] == logits.argmax(1).tolist()


def test_predict_decodes_one_batch_ahead(pets, monkeypatch):
    decoded = []
    real = engine.decode
    monkeypatch.setattr(
        engine, "decode", lambda *arguments: decoded.append(arguments) or real(*arguments)
    )
    image = str(pets[0] / "photos" / "test" / "cat" / "00.jpg")
    predictions = engine.predict(load_trained_model(pets[1]), [RequestedImage(image, "")] * 1000, 1)
    assert isinstance(next(predictions), Prediction)
    assert len(decoded) == engine.MAX_BATCH_SIZE


def test_file_that_needs_too_much_memory_fails_alone(pets, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(engine, "decode", fail)
    (failed,) = engine.predict(load_trained_model(pets[1]), [RequestedImage("big.png", "")], 1)
    assert failed == PredictionFailed(path="big.png", reason="not enough memory")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--json", "--csv"), "--json and --csv cannot be used together"),
        (("--device", "tpu"), "train.device"),
    ],
)
def test_invalid_options_exit_2(pets, command, arguments, text):
    code, out, errors = command("photos", *arguments, cwd=pets[0])
    assert (code, out) == (2, "")
    assert text in errors


def test_line_aligns_wide_characters():
    prediction = Prediction(
        path="a.png", top=(("日本", 0.9), ("x", 0.1)), target=None, size=1, pixels=b"0"
    )
    assert as_line(prediction, name_width(["日本", "x"])) == "日本  90.0%  x     10.0%  a.png"
