"""Chapter 9: wrong labels and reasons for mistakes, by hand and then in the user's own run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from textual.content import Content

from cnn_engine.results.suspects import Suspect, Suspects
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.lesson.arithmetic import Grid, mean
from cnn_tui.lesson.convolution import format_sum
from cnn_tui.lesson.pages import (
    Canvas,
    Chapter,
    Page,
    Parts,
    fit_blocks,
    format_number,
    grid_lines,
    with_caption,
)
from cnn_tui.pictures.half_blocks import Picture, draw_picture, fit_width
from cnn_tui.text.safe import class_name, safe_text
from cnn_tui.text.shell import command_for, shell_command

TITLE = "Better data"

CLASSES = ("cat", "dog", "bird")
LOGITS = (3.1, 0.4, -1.2)
GIVEN, LIKELY = 1, 0
"""Classes of the example: the label says dog, the image shows a cat."""

WRONG_MARGINS = (-0.9, -2.2, -2.7, -1.0)
RIGHT_MARGINS = (-0.5, 1.4, 2.6, 3.3)
"""Margins of an image with a wrong label and of one with a right label, by epoch."""

ACTIVATIONS = ((0.0, 2.0), (1.0, 3.0))
GRADIENTS = ((0.5, 0.5), (-1.0, 1.0))
"""A feature map, and the change of the logit for each unit of change of its cells."""

MAX_SHOWN = 4
"""Suspects of the run that are shown."""

LINES = 6
"""Height of a picture, in lines."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A run, and the suspects found in its training images."""

    run: RunDirectory
    suspects: Suspects


def better_data_chapter(found: Found | None, problem: str) -> Chapter:
    """Return chapter 9: margins, heatmaps, and the suspects of a run.

    Args:
        found: The run to explain; None if there is none.
        problem: Reason why an existing run has no suspects; empty if there is no run.
    """
    own = _own_suspects(found) if found and found.suspects.suspects else _instructions(problem)
    return Chapter(TITLE, (Page(_margin()), Page(_margins()), Page(_heatmap()), Page(own)))


def _margin() -> Parts:
    given, likely = LOGITS[GIVEN], LOGITS[LIKELY]
    names = "   ".join(
        f"{name} {format_number(logit)}" for name, logit in zip(CLASSES, LOGITS, strict=True)
    )
    return (
        "Some labels are wrong, and the network can tell which: it is right about most images long "
        f"before it knows them by heart. This image is labelled {CLASSES[GIVEN]}. Its logits:",
        lambda _: [Content(names)],
        "The margin is the logit of the label minus the largest other logit:",
        lambda _: [_margin_line(CLASSES[GIVEN], given, likely)],
        "A positive margin is a correct answer. If the label were "
        f"{CLASSES[LIKELY]}, the margin would be positive:",
        lambda _: [_margin_line(CLASSES[LIKELY], likely, given)],
    )


def _margin_line(name: str, logit: float, other: float) -> Content:
    margin = format_number(logit - other)
    return Content.assemble(
        f"{name}: {format_number(logit)} − {format_number(other)} = ", (margin, "bold $primary")
    )


def _margins() -> Parts:
    return (
        "During training, a network first learns what many images have in common. A wrong label "
        "contradicts that: its margin stays low until, at the end, the image is known by heart. "
        "The margins of four epochs, and their mean:",
        lambda _: [
            _mean_line("right label", RIGHT_MARGINS),
            _mean_line("wrong label", WRONG_MARGINS),
        ],
        "The mean over all epochs is called the area under the margin (Pleiss and others, 2020, "
        "arXiv:2001.10528). The images with the lowest are the suspects. Not all of them have "
        "wrong labels: some are hard, and some are unlike all others. Look before you mark.",
    )


def _mean_line(name: str, margins: Sequence[float]) -> Content:
    result = format_number(mean(margins))
    return Content.assemble(
        f"{name}: ({format_sum(margins)}) / {len(margins)} = ", (result, "bold $primary")
    )


def _heatmap() -> Parts:
    return (
        "Why did the network give its answer? Each cell of the last feature maps has a value, and "
        "a gradient: how much the answer's logit changes with it. Their product is what the cell "
        "adds to the answer:",
        _products,
        "Products of all maps are added, cell by cell. Drawn over the image, negative sums as 0, "
        "they are the heatmap: bright where the image speaks for the answer (HiResCAM: Draelos "
        "and Carin, 2020, arXiv:2011.08891). If it is bright beside the object, the network has "
        "learned the background: more images with other backgrounds help.",
    )


def _products(canvas: Canvas) -> list[Content]:
    products = [
        [value * slope for value, slope in zip(row, slopes, strict=True)]
        for row, slopes in zip(ACTIVATIONS, GRADIENTS, strict=True)
    ]
    kept = [[max(0.0, value) for value in row] for row in products]
    named: list[tuple[str, Grid]] = [
        ("map", [list(row) for row in ACTIVATIONS]),
        ("gradient", [list(row) for row in GRADIENTS]),
        ("product", products),
        ("heatmap", kept),
    ]
    return fit_blocks(
        *(with_caption(name, grid_lines(values)) for name, values in named), canvas=canvas
    )


def _instructions(problem: str) -> Parts:
    return (
        *((f"There is nothing to show: {safe_text(problem, 500)}",) if problem else ()),
        "This page shows the suspects of your own run. With your images in one folder per class:",
        shell_command("run", "folder", "--data-dir", "photos"),
        f"Then run: {shell_command('data', 'suspects')}",
    )


def _own_suspects(found: Found) -> Parts:
    shown, method = found.suspects.suspects[:MAX_SHOWN], safe_text(found.suspects.method, 200)
    return (
        f"The first suspects of run {safe_text(found.run.id)}, found by {method}. Each has its "
        "label and the likelier class:",
        partial(_pictures, shown, found.suspects.classes),
        f"The Mistakes view shows them all: {command_for('watch', found.run)}, then 3 and v. "
        "There, l relabels an image, - drops it, k keeps it. The next run honours the marks, and "
        "no file is changed:",
        command_for("run --like", found.run),
    )


def _pictures(suspects: Sequence[Suspect], classes: Sequence[str], canvas: Canvas) -> list[Content]:
    blocks = []
    for suspect in suspects:
        picture = Picture(suspect.pixels, suspect.width, suspect.height, suspect.channels)
        room = max(6, canvas.width // MAX_SHOWN - 3)
        drawn = draw_picture(picture, fit_width(picture, room, LINES), colors=canvas.pictures)
        given, likely = (
            class_name(classes, label, room - 2) for label in (suspect.label, suspect.likely)
        )
        blocks.append(
            [*(Content.assemble(*row) for row in drawn), Content(given), Content(f"→ {likely}")]
        )
    return fit_blocks(*blocks, canvas=canvas)
