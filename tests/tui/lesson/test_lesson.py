"""The lesson: arithmetic compared with PyTorch, text of the pages, screen, and printed text."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from math import prod

import msgspec
import pytest
import torch
from torch.nn import functional

from cnn_engine.results.feature_maps import MAPS_FILE, MapsFile, Sample, read_feature_maps
from cnn_engine.results.suspects import SUSPECTS_FILE, Suspect, Suspects, encode_suspects
from cnn_engine.runlog.lines import from_line
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.lesson import LessonScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.lesson import better_data, convolution, learning, own_run
from cnn_tui.lesson.arithmetic import (
    convolve,
    cross_entropy,
    gradient_descent,
    mean,
    output_size,
    pool,
    relu,
    softmax,
)
from cnn_tui.lesson.contents import all_chapters, read_example
from cnn_tui.lesson.own_run import Example, explainable_filters, strongest_response
from cnn_tui.lesson.pages import Canvas
from cnn_tui.settings import Options
from golden import DATA, add_maps, golden_run
from pilot import assert_screen, press, screen_text, settle

SIZES = [(120, 36), (80, 24), (60, 20), (40, 12)]


def as_tensor(values):
    """Return rows of numbers as float64 tensor of shape (1, 1, height, width)."""
    return torch.tensor(values, dtype=torch.float64)[None, None]


def run_with_maps(runs_dir):
    return add_maps(golden_run(runs_dir, "completed"))


def chapter_text(chapter, canvas=Canvas(76, False)):  # noqa: B008 - an immutable tuple
    return "\n".join(line.plain for page in chapter.pages for line in page.lines(canvas))


# Arithmetic


def test_worked_example_matches_pytorch():
    result = convolve(convolution.IMAGE, convolution.FILTER)
    assert result == [[-6, -6], [-6, -6]]
    expected = functional.conv2d(as_tensor(convolution.IMAGE), as_tensor(convolution.FILTER))
    assert torch.equal(as_tensor(result), expected)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_convolve_matches_pytorch(stride, padding):
    image, weights = torch.randn(7, 9).double(), torch.randn(3, 2).double()
    expected = functional.conv2d(image[None, None], weights[None, None], None, stride, padding)
    result = convolve(image.tolist(), weights.tolist(), stride, padding)
    assert torch.allclose(as_tensor(result), expected)
    assert len(result) == output_size(7, 3, stride, padding)
    assert len(result[0]) == output_size(9, 2, stride, padding)


def test_pooling_softmax_and_loss_match_pytorch():
    image = torch.randn(6, 4).double()
    values = image.tolist()
    assert torch.allclose(as_tensor(pool(values, 2, max)), functional.max_pool2d(image[None], 2))
    assert torch.allclose(as_tensor(pool(values, 2, mean)), functional.avg_pool2d(image[None], 2))
    logits = torch.randn(5).double()
    probabilities = softmax(logits.tolist())
    assert probabilities == pytest.approx(logits.softmax(0).tolist())
    loss = functional.cross_entropy(logits[None], torch.tensor([3])).item()
    assert cross_entropy(probabilities[3]) == pytest.approx(loss)
    assert [relu(value) for value in (-2.0, 0.0, 3.0)] == [0, 0, 3]


def test_gradient_descent_matches_pytorch():
    weight = torch.tensor(4.0, dtype=torch.float64, requires_grad=True)
    optimizer, weights = torch.optim.SGD([weight], lr=0.3), [4.0]
    for _ in range(5):
        optimizer.zero_grad()
        (weight**2).backward()
        optimizer.step()
        weights.append(weight.item())
    assert gradient_descent(lambda w: 2 * w, 4.0, 0.3, 5) == pytest.approx(weights)


# Text of the pages

ARITHMETIC = re.compile(r"[-+*/().\d ]*\d[-+*/().\d ]*")


def equations(text):
    """Yield the two sides of every equation that contains only numbers."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text.replace("−", "-").replace("·", "*"))
    for line in text.splitlines():
        for left, right in pairwise(line.split("=")):
            left_side = re.sub("^(bird|cat|dog)", "", left.rpartition(":")[2]).strip()
            right_side = re.split(r"[a-zA-Z:,]", right)[0].rstrip(" .").strip()
            if ARITHMETIC.fullmatch(left_side) and ARITHMETIC.fullmatch(right_side):
                yield left_side, right_side


def test_every_equation_on_the_pages_is_correct(tmp_path):
    count = 0
    for chapter in all_chapters(run_with_maps(tmp_path)):
        for left, right in equations(chapter_text(chapter).replace("\n  = ", " = ")):
            results = eval(left), eval(right)  # noqa: S307 - only digits and operators
            assert results[0] == pytest.approx(results[1], rel=0.01, abs=0.006), (left, right)
            count += 1
    assert count >= 19


def test_numbers_on_the_pages_are_computed_from_the_inputs(monkeypatch):
    """With another image, filter and input, the pages show the matching results."""
    image, weights = ((3, 1, 4), (1, 5, 9), (2, 6, 5)), ((2, -1), (0, 3))
    monkeypatch.setattr(convolution, "IMAGE", image)
    monkeypatch.setattr(convolution, "FILTER", weights)
    expected = functional.conv2d(as_tensor(image), as_tensor(weights)).flatten().tolist()
    chapter = convolution.convolution_chapter()
    for page, value in zip(chapter.pages, expected, strict=False):
        last = page.lines(Canvas(76, False))[-1].plain
        assert last.endswith(f"= {value:g}".replace("-", "−"))
    monkeypatch.setattr(learning, "INPUTS", (1.0, 2.0, 3.0, 4.0))
    text = chapter_text(learning.prediction_chapter())
    logits = torch.tensor(learning.WEIGHTS) @ torch.tensor([1.0, 2.0, 3.0, 4.0])
    logits += torch.tensor(learning.BIASES)
    for probability in logits.softmax(0).tolist():
        assert f"{100 * probability:5.1f}%" in text


def test_gradient_on_the_page_matches_pytorch():
    weight = torch.tensor(learning.WEIGHT, requires_grad=True)
    ((weight * learning.INPUT - learning.TARGET) ** 2).backward()
    text = chapter_text(learning.backpropagation_chapter())
    assert f"= {weight.grad.item():g}   the gradient".replace("-", "−") in text


def test_sizes_of_the_default_network_are_shown():
    assert "32 → 16 → 8 → 4" in chapter_text(convolution.stride_and_padding_chapter())


@pytest.mark.parametrize("size", SIZES)
def test_pages_fit_the_terminal(tmp_path, size):
    for chapter in all_chapters(run_with_maps(tmp_path)):
        for page in chapter.pages:
            lines = page.lines(Canvas(size[0] - 5, pictures=True))
            assert max(line.cell_length for line in lines) <= size[0] - 5, chapter.title
            assert size != (80, 24) or len(lines) <= 24 - 3, chapter.title


# Chapter 8, about the user's run


def test_response_matches_pytorch_and_the_stored_map(tmp_path):
    example = read_example(run_with_maps(tmp_path))
    maps, filters = example.maps, explainable_filters(example.maps)
    response = strongest_response(maps, filters)
    header = maps.header
    height, width, channels = header.image
    pixels = torch.tensor(list(maps.image(0))).view(height, width, channels).permute(2, 0, 1)
    image = (pixels / 255 - header.mean[0]) / header.std[0]
    weights = torch.tensor(maps.filter_values()).view(filters.shape)
    output = functional.conv2d(
        image[None], weights, torch.tensor(maps.biases()), filters.stride, filters.padding
    )[0]
    value = output[response.filter, response.cell.row, response.cell.column].item()
    assert response.value == pytest.approx(value, abs=1e-5)
    assert value == output[:, response.cell.row, response.cell.column].max()
    saved_map = torch.tensor(list(maps.maps(0, 0))).view(header.stages[0].shape)
    sample = header.samples[0]
    step = (sample.highs[0] - sample.lows[0]) / 255
    saved = (
        saved_map[response.filter, response.cell.row, response.cell.column] * step + sample.lows[0]
    )
    assert saved.item() == pytest.approx(value, abs=3 * step)
    text = chapter_text(own_run.own_run_chapter(example, ""))
    assert f"by hand it was {value:.4g}".replace("-", "−") in text


def test_last_chapters_without_a_run_show_the_run_command():
    *_, own_run_text, better_data_text = map(chapter_text, all_chapters(None))
    assert "cnn-tui run digits" in own_run_text
    assert "cnn-tui run folder" in better_data_text
    assert "nothing to show" not in own_run_text + better_data_text


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\x1b[2J"])
def test_unusable_maps_are_reported_in_their_chapter(tmp_path, content):
    run = golden_run(tmp_path, "completed")
    if content is not None:
        (run.path / MAPS_FILE).write_bytes(content)
    chapters = all_chapters(run)
    text = chapter_text(chapters[7])
    assert "There is nothing to show" in text
    assert "maps.bin" in text
    assert "\x1b" not in text
    assert len(chapters) == 9


SAMPLE_WITHOUT_MAPS = Sample(
    name="1", label=0, top_classes=(0,), probabilities=(1.0,), lows=(), highs=()
)


@pytest.mark.parametrize(
    "change",
    [
        {"filters": None},
        {"samples": ()},
        {"stages": (), "samples": (SAMPLE_WITHOUT_MAPS,)},
        {"mean": (0.5, 0.5)},
        {"std": (0.0,)},
        {"std": ()},
        {"full_size": (500, 500)},
    ],
)
def test_unsupported_maps_are_not_explained(tmp_path, change):
    header = msgspec.structs.replace(read_feature_maps(DATA / MAPS_FILE).header, **change)
    filters = header.filters
    parameters = prod(filters.shape) + filters.shape[0] if filters else 0
    bytes_per_sample = prod(header.image) + sum(prod(stage.shape) for stage in header.stages)
    maps = MapsFile(header, bytes(4 * parameters + bytes_per_sample * len(header.samples)))
    assert explainable_filters(maps) is None
    chapter = own_run.own_run_chapter(
        Example(run=RunDirectory(tmp_path / "x"), maps=maps, classes=()), ""
    )
    assert "not a plain" in chapter_text(chapter)


def test_huge_values_are_shown_with_exponents(tmp_path):
    saved = read_feature_maps(DATA / MAPS_FILE)
    maps = MapsFile(msgspec.structs.replace(saved.header, std=(1e-200,)), saved._content)
    chapter = own_run.own_run_chapter(
        Example(run=RunDirectory(tmp_path / "x"), maps=maps, classes=()), ""
    )
    assert re.search(r"= −?\d\S*e\+(199|20\d)", chapter_text(chapter))


def test_only_the_start_of_a_log_is_read(tmp_path, monkeypatch):
    run, lines = run_with_maps(tmp_path), []
    monkeypatch.setattr(
        "cnn_engine.runlog.log.from_line", lambda line: lines.append(line) or from_line(line)
    )
    assert read_example(run).classes == tuple("0123456789")
    assert len(lines) < 10 < len(run.events.read_bytes().splitlines())


# Chapter 9, about better data


def test_margins_and_heatmap_match_pytorch():
    logits = torch.tensor(better_data.LOGITS)
    others = logits.clone()
    others[better_data.GIVEN] = -torch.inf
    margin = (logits[better_data.GIVEN] - others.max()).item()
    assert others.argmax().item() == better_data.LIKELY
    maps = torch.tensor(better_data.ACTIVATIONS, requires_grad=True)
    (maps * torch.tensor(better_data.GRADIENTS)).sum().backward()
    heatmap = (maps * maps.grad).clamp(min=0)
    text = chapter_text(better_data.better_data_chapter(None, ""))
    assert f"dog: 0.4 − 3.1 = {margin:.4g}".replace("-", "−") in text
    products = [line for line in text.splitlines() if re.fullmatch(r"[ \d.−]+", line)]
    assert [line.split()[-2:] for line in products[-2:]] == [
        [f"{value:g}" for value in row] for row in heatmap.tolist()
    ]


def test_suspects_of_the_run_are_shown(tmp_path):
    run = run_with_maps(tmp_path)
    assert "cnn-tui data suspects 1124-0412-amber" in chapter_text(all_chapters(run)[-1])
    suspect = Suspect(
        kind="label", name="cat/[/].jpg", label=0, likely=1, score=0.9,
        pixels=bytes(range(256)), width=16, height=16, channels=1,
    )  # fmt: skip
    content = encode_suspects(
        Suspects(method="area under the margin", classes=["[/]", "dog"], suspects=[suspect] * 6)
    )
    (run.path / SUSPECTS_FILE).write_bytes(content)
    chapter = all_chapters(run)[-1]
    text = chapter_text(chapter)
    assert "found by area under the margin" in text
    assert text.count("→ dog") == better_data.MAX_SHOWN
    assert "cnn-tui run --like 1124-0412-amber" in text
    for width, height in SIZES:
        lines = chapter.pages[-1].lines(Canvas(width - 5, pictures=True))
        assert max(line.cell_length for line in lines) <= width - 5
        assert height != 24 or len(lines) <= 24 - 3


# Screen


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (300, 100)])
async def test_screen_shows_every_page(tmp_path, size):
    run = run_with_maps(tmp_path)
    pages = [(chapter.title, page) for chapter in all_chapters(run) for page in chapter.pages]
    app = Dashboard(LessonScreen(all_chapters(run)))
    async with app.run_test(size=size) as pilot:
        for number, (title, _) in enumerate(pages):
            await settle(pilot)
            if size == (80, 24):
                assert title in screen_text(app), number
            await pilot.press("space")
        await settle(pilot)
        if size == (80, 24):
            assert pages[-1][0] in screen_text(app)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("window", "2 space"),
        ("rate", "7 right"),
        ("own", "8 space space"),
        ("data", "9 space space"),
    ],
)
async def test_pages_match_saved_screens(tmp_path, name, keys, size):
    app = Dashboard(LessonScreen(all_chapters(run_with_maps(tmp_path))))
    async with app.run_test(size=size) as pilot:
        await press(pilot, *keys.split())
        await assert_screen(pilot, f"lesson_{name}-{size[0]}x{size[1]}")


async def test_keys_turn_pages_and_quit(tmp_path):
    app = Dashboard(LessonScreen(all_chapters(None)))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("left")
        assert "1/9  page 1 of 2" in await settled_text(pilot)
        await pilot.press("space", "right")
        assert "2/9  page 1 of 5" in await settled_text(pilot)
        await pilot.press("left")
        assert "1/9  page 2 of 2" in await settled_text(pilot)
        await pilot.press("8")
        assert "8/9  page 1 of 1" in await settled_text(pilot)
        await pilot.press("9", *["space"] * 4)
        assert "9/9  page 4 of 4" in await settled_text(pilot)
        await pilot.press("question_mark")
        assert "Next step or page" in await settled_text(pilot)
        await pilot.press("escape", "q")
    assert app.return_code == 0


async def settled_text(pilot):
    await settle(pilot)
    return screen_text(pilot.app)


async def test_long_page_scrolls(tmp_path):
    app = Dashboard(LessonScreen(all_chapters(None)))
    async with app.run_test(size=(40, 12)) as pilot:
        before = await settled_text(pilot)
        await pilot.press("down", "down")
        assert await settled_text(pilot) != before
        await pilot.press("up", "up")
        assert await settled_text(pilot) == before


async def test_lesson_opens_from_a_run_and_returns(tmp_path):
    app = Dashboard(RunScreen(run_with_maps(tmp_path)))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("x", "8")
        assert "1124-0412-amber" in await settled_text(pilot)
        await pilot.press("q")
        await settle(pilot)
        assert isinstance(app.screen, RunScreen)


async def test_ascii_option_shows_ascii_only(tmp_path):
    app = Dashboard(
        LessonScreen(all_chapters(run_with_maps(tmp_path))), options=Options(ascii=True)
    )
    async with app.run_test(size=(80, 24)) as pilot:
        for number in range(1, 10):
            await pilot.press(str(number))
            text = await settled_text(pilot)
            assert text.isascii()
            # `?` replaces characters without an ASCII equivalent; the key bar contains one.
            assert text.count("?") == 1


# Printed lesson


def printed_lesson(tmp_path, *arguments, **environment):
    """Return the result of `cnn-tui explain` without a terminal, 80 columns wide."""
    return subprocess.run(
        [sys.executable, "-c", "from cnn_tui.cli.app import main; main()", "explain", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80"} | environment,
    )


def test_lesson_is_printed_without_a_terminal(tmp_path):
    run_with_maps(tmp_path / "runs")
    result = printed_lesson(tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    for chapter in all_chapters(None):
        assert chapter.title in result.stdout
    assert result.stdout.count("A filter is a small grid of numbers") == 1
    for equation in ("1 + 2 − 4 − 5 = −6", "2 + 3 − 5 − 6 = −6", "4 + 5 − 7 − 8 = −6"):
        assert equation in result.stdout
    assert "1124-0412-amber" in result.stdout
    assert printed_lesson(tmp_path, "--no-ui", NO_COLOR="1").stdout == result.stdout


def test_printed_lesson_in_ascii(tmp_path):
    result = printed_lesson(tmp_path, "--ascii")
    assert result.returncode == 0
    assert result.stdout.isascii()
    assert "1 + 2 - 4 - 5 = -6" in result.stdout
    assert printed_lesson(tmp_path, LC_ALL="C").stdout == result.stdout


def test_unknown_run_is_a_usage_error(tmp_path):
    result = printed_lesson(tmp_path, "nowhere", "--runs-dir", str(tmp_path))
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
