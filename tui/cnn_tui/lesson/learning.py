"""Chapters 5 to 7: from maps to an answer, forward and backward, the learning rate."""

import math
from functools import partial
from itertools import pairwise

from textual.content import Content

from cnn_tui.charts.braille import BLANK, DotGrid
from cnn_tui.lesson.arithmetic import cross_entropy, descend, softmax, weighted_sum
from cnn_tui.lesson.pages import Canvas, Chapter, Page, bar_lines, decimals, grid, number
from cnn_tui.lesson.seeing import signed_sum

INPUTS = (4.0, 3.0, 5.0, 0.0)
"""What is left of an image after the last pooling, in one row."""

CLASSES = ("bird", "cat", "dog")
WEIGHTS = ((0.2, -0.5, 0.1, 0.4), (0.3, 0.1, 0.2, -0.2), (-0.4, 0.6, 0.1, 0.3))
"""A row for each class."""

BIASES = (0.1, -0.2, 0.0)
TRUTH = 1

INPUT, WEIGHT, TARGET, RATE = 2.0, 0.5, 3.0, 0.1
"""A network of one weight, what it sees, and what it should say."""

NUDGE = 0.001

START, STEPS = 4.0, 8
RATES = (
    (0.03, "Too small: it goes the right way, but will take ages."),
    (0.3, "Right: large steps first, and smaller ones as the slope gets flatter."),
    (1.05, "Too large: each step leaps over the valley, and lands higher than before."),
)


def prediction_chapter() -> Chapter:
    """5: dense layers, softmax, the loss."""
    scores = [
        weighted_sum(list(zip(INPUTS, weights, strict=True))) + bias
        for weights, bias in zip(WEIGHTS, BIASES, strict=True)
    ]
    shares = softmax(scores)
    powers = [math.exp(score) for score in scores]
    loss = cross_entropy(shares[TRUTH])
    dense = Page(
        (
            "After the last block, all maps are written in one row of numbers. A dense layer has "
            "a weight for each of them and for each class, adds up, adds a bias, and so gives "
            "every class a score.",
            lambda canvas: [
                line for index in range(len(CLASSES)) for line in _score(index, canvas)
            ],
            "The default network has two dense layers more before this one, with ReLU between.",
        )
    )
    shared = Page(
        (
            "Scores can be anything. Softmax makes shares of them that are positive and add up to "
            "1: e to the power of the score, divided by the sum of all these.",
            lambda _: grid(
                [
                    ["", *CLASSES],
                    ["score", *scores],
                    ["e^score", *powers],
                    [f"/ {number(sum(powers))}", *shares],
                ]
            ),
            partial(bar_lines, CLASSES, shares),
        )
    )
    lost = Page(
        (
            f"How bad is that answer? Say that the image is a {CLASSES[TRUTH]}. The loss, here "
            "cross-entropy, is minus the logarithm of the share that the true class was given: "
            f"−ln {number(shares[TRUTH])} = {number(loss)}. That is what training makes small.",
            lambda _: grid(
                [
                    ["share", *(share for share in (0.99, 0.5, 0.1, 0.01))],
                    ["loss", *(cross_entropy(share) for share in (0.99, 0.5, 0.1, 0.01))],
                ]
            ),
            "To be sure and wrong costs most. Knowing nothing of ten classes, a share of 0.1 for "
            f"each, costs {number(cross_entropy(0.1))}: a run's loss begins about there.",
        )
    )
    return Chapter("From maps to an answer", (dense, shared, lost))


def _score(index: int, canvas: Canvas) -> list[Content]:
    """The sum for a class, on one line or two."""
    terms = [value * weight for value, weight in zip(INPUTS, WEIGHTS[index], strict=True)]
    pairs = " + ".join(
        f"{number(value)}·{f'({number(weight)})' if weight < 0 else number(weight)}"
        for value, weight in zip(INPUTS, WEIGHTS[index], strict=True)
    )
    bias = BIASES[index]
    score = number(sum(terms) + bias)
    name = f"{CLASSES[index]:<4} "
    if canvas.width >= 70:
        text = f"{name}{pairs} {'−' if bias < 0 else '+'} {number(abs(bias))} = "
    else:
        text = f"{name}{signed_sum([*terms, bias])} = "
    return [Content.assemble(text, (score, "bold $primary"))]


def backpropagation_chapter() -> Chapter:
    """6: forward and backward pass."""
    score = WEIGHT * INPUT
    loss = (score - TARGET) ** 2
    by_score = 2 * (score - TARGET)
    slope = by_score * INPUT
    nudged = ((WEIGHT + NUDGE) * INPUT - TARGET) ** 2
    after = WEIGHT - RATE * slope
    new_loss = (after * INPUT - TARGET) ** 2
    forward = Page(
        (
            "Take the smallest network there is: one weight. It multiplies what it sees, and its "
            "loss is the square of what it is wrong by. Going through it from the image to the "
            "loss is the forward pass.",
            lambda _: [
                Content(f"it sees     x = {number(INPUT)}"),
                Content(f"its weight  w = {number(WEIGHT)}"),
                Content(f"it says     y = w·x = {number(score)}"),
                Content(f"it should   t = {number(TARGET)}"),
                Content.assemble(
                    f"loss        L = (y − t)² = ({number(score)} − {number(TARGET)})² = ",
                    (number(loss), "bold $primary"),
                ),
            ],
        )
    )
    backward = Page(
        (
            "The backward pass asks, from the loss back to the weight: if this grew a little, how "
            "would the loss change? Each step back multiplies by what that step contributes; that "
            "is the chain rule.",
            lambda _: [
                Content(f"dL/dy = 2·(y − t) = {number(by_score)}"),
                Content(f"dy/dw = x = {number(INPUT)}"),
                Content.assemble(
                    f"dL/dw = {_in_brackets(by_score)}·{number(INPUT)} = ",
                    (number(slope), "bold $primary"),
                    "   the gradient",
                ),
            ],
            f"Try it: with w + {number(NUDGE)} the loss is {number(nudged, 7)}, that is "
            f"{number((nudged - loss) / NUDGE)} for each 1 that w grows. The rule gives the same "
            "at once, and for millions of weights in one pass.",
        )
    )
    step = Page(
        (
            "The gradient points uphill. So the weight goes a step the other way; how large a step "
            "is the learning rate.",
            lambda _: [
                Content(
                    f"w becomes w − rate·gradient = {number(WEIGHT)} − {number(RATE)}·"
                    f"{_in_brackets(slope)} = {number(after)}"
                ),
                Content.assemble(
                    f"loss      {number(loss)} becomes ", (number(new_loss), "bold $primary")
                ),
            ],
            "That was one step. A run does it for every batch of images, with all its weights at "
            "once; when every image has been seen, an epoch is over.",
        )
    )
    return Chapter("Forward and backward", (forward, backward, step))


def _in_brackets(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def learning_rate_chapter() -> Chapter:
    """7: too small, right, too large."""
    intro = (
        "A weight w, and a loss that is w²: a valley with its bottom at 0. The gradient is 2·w. "
        f"Training begins at w = {number(START)}; digits show where it is after each step."
    )
    pages = [
        Page((f"{intro} Learning rate {number(rate)}:", partial(_valley, rate), text))
        for rate, text in RATES
    ]
    end = Page(
        (
            "A real loss has a direction for each weight, with valleys and ridges nobody sees. So "
            "watch the curve: if it hardly falls, the rate is too small; if it leaps or grows, "
            "or is no number any more, it is too large.",
            "In the dashboard, r changes the rate of a run that goes on. Optimizers such as Adam "
            "choose a step for each weight, and need only be told about how large.",
        )
    )
    return Chapter("What the learning rate does", (*pages, end))


def _valley(rate: float, canvas: Canvas) -> list[Content]:
    """The parabola with the places on it, and below it where they are and what they cost."""
    places = descend(lambda w: 2 * w, START, rate, STEPS)
    width, height = min(57, canvas.width // 2 * 2 - 1), 8
    most = max(map(abs, descend(lambda w: 2 * w, START, RATES[-1][0], STEPS)))
    layer = DotGrid(width, height)

    def dot(w: float) -> tuple[int, int]:
        x = round((w / most + 1) / 2 * (layer.width - 1))
        return x, round((1 - (w / most) ** 2) * (layer.height - 1))

    curve = [dot(most * (2 * x / (layer.width - 1) - 1)) for x in range(layer.width)]
    for (x0, y0), (x1, y1) in pairwise(curve):
        layer.line(x0, y0, x1, y1)
    marks: dict[tuple[int, int], str] = {}
    for step in reversed(range(len(places))):  # where two fall together, the earlier is seen
        x, y = dot(places[step])
        marks[y // 4, x // 2] = str(step)
    lines = [
        Content.assemble(
            *(
                (marks[y, x], "bold $secondary")
                if (y, x) in marks
                else (chr(BLANK + code) if code else " ", "$muted")
                for x, code in enumerate(layer.cells(y))
            )
        )
        for y in range(height)
    ]
    shown = range(0, len(places), 1 if canvas.width >= 72 else 4)
    table = grid(
        [
            ["step", *map(str, shown)],
            ["w", *(decimals(places[step]) for step in shown)],
            ["loss", *(decimals(places[step] ** 2) for step in shown)],
        ]
    )
    return [*lines, Content(""), *table]
