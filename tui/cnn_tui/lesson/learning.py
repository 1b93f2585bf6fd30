"""Chapters 5 to 7: prediction and loss, forward and backward pass, the learning rate."""

import math
from functools import partial
from itertools import pairwise

from textual.content import Content

from cnn_tui.charts.braille import BLANK, DotGrid
from cnn_tui.lesson.arithmetic import cross_entropy, gradient_descent, softmax, weighted_sum
from cnn_tui.lesson.convolution import format_sum
from cnn_tui.lesson.pages import (
    Canvas,
    Chapter,
    Page,
    bar_lines,
    format_decimals,
    format_factor,
    format_number,
    grid_lines,
)

INPUTS = (4.0, 3.0, 5.0, 0.0)
"""Values of the last feature maps, flattened."""

CLASSES = ("bird", "cat", "dog")
WEIGHTS = ((0.2, -0.5, 0.1, 0.4), (0.3, 0.1, 0.2, -0.2), (-0.4, 0.6, 0.1, 0.3))
"""Weights of a linear layer [classes][inputs]."""

BIASES = (0.1, -0.2, 0.0)
TARGET_CLASS = 1

INPUT, WEIGHT, TARGET, LEARNING_RATE = 2.0, 0.5, 3.0, 0.1
"""A network with a single weight: its input, its weight, its target and the learning rate."""

NUDGE = 0.001
"""Small change of the weight that checks the gradient numerically."""

START_WEIGHT, STEPS = 4.0, 8
LEARNING_RATES = (
    (0.03, "Too small: every step goes in the right direction, but training takes ages."),
    (0.3, "Right: large steps first, then smaller ones as the slope becomes flatter."),
    (1.05, "Too large: each step jumps over the minimum and ends higher than before."),
)


def prediction_chapter() -> Chapter:
    """Return chapter 5: linear layer, softmax and loss."""
    logits = [
        weighted_sum(list(zip(INPUTS, weights, strict=True))) + bias
        for weights, bias in zip(WEIGHTS, BIASES, strict=True)
    ]
    probabilities = softmax(logits)
    powers = [math.exp(logit) for logit in logits]
    predicted = format_number(probabilities[TARGET_CLASS])
    loss = format_number(cross_entropy(probabilities[TARGET_CLASS]))
    linear = Page(
        (
            "After the last block, the values of all maps are put in one row. A linear layer has "
            "one weight for each value and each class. It multiplies, adds up, adds a bias, and so "
            "computes one number for each class, its logit.",
            lambda canvas: [_logit(index, canvas) for index in range(len(CLASSES))],
            "The default network has two more linear layers before this one, with ReLU between.",
        )
    )
    normalized = Page(
        (
            "Logits can be any number. Softmax turns them into probabilities, which are positive "
            "and add up to 1: e to the power of the logit, divided by the sum of all these powers.",
            lambda _: grid_lines(
                [
                    ["", *CLASSES],
                    ["logit", *logits],
                    ["e^logit", *powers],
                    [f"/ {format_number(sum(powers))}", *probabilities],
                ]
            ),
            partial(bar_lines, CLASSES, probabilities),
        )
    )
    examples = (0.99, 0.5, 0.1, 0.01)
    scored = Page(
        (
            f"How good is this prediction? Suppose the image shows a {CLASSES[TARGET_CLASS]}. The "
            "loss, here cross-entropy, is minus the logarithm of the probability of the true "
            f"class: −ln {predicted} = {loss}. Training minimises this number.",
            lambda _: grid_lines(
                [["probability", *examples], ["loss", *map(cross_entropy, examples)]]
            ),
            "A confident mistake costs most. An untrained network gives each of ten classes a "
            f"probability of about 0.1, so the loss of a run starts near "
            f"{format_number(cross_entropy(0.1))}.",
        )
    )
    return Chapter("From feature maps to a prediction", (linear, normalized, scored))


def _logit(index: int, canvas: Canvas) -> Content:
    """Return the sum that gives the logit of a class; on narrow screens without the factors."""
    factors = list(zip(INPUTS, WEIGHTS[index], strict=True))
    bias = BIASES[index]
    if canvas.width >= 70:
        products = " + ".join(
            f"{format_number(value)}·{format_factor(weight)}" for value, weight in factors
        )
        terms = f"{products} {'−' if bias < 0 else '+'} {format_number(abs(bias))}"
    else:
        terms = format_sum([*(value * weight for value, weight in factors), bias])
    logit = format_number(weighted_sum(factors) + bias)
    return Content.assemble(f"{CLASSES[index]:<4} {terms} = ", (logit, "bold $primary"))


def backpropagation_chapter() -> Chapter:
    """Return chapter 6: forward pass, backward pass and one step of gradient descent."""
    output = WEIGHT * INPUT
    loss = (output - TARGET) ** 2
    output_gradient = 2 * (output - TARGET)
    gradient = output_gradient * INPUT
    nudged_loss = ((WEIGHT + NUDGE) * INPUT - TARGET) ** 2
    new_weight = WEIGHT - LEARNING_RATE * gradient
    new_loss = (new_weight * INPUT - TARGET) ** 2
    forward = Page(
        (
            "Take the smallest possible network: a single weight. It multiplies its input, and its "
            "loss is the squared difference to the target. Computing from the input to the loss "
            "is the forward pass.",
            lambda _: [
                Content(f"input   x = {format_number(INPUT)}"),
                Content(f"weight  w = {format_number(WEIGHT)}"),
                Content(f"output  y = w·x = {format_number(output)}"),
                Content(f"target  t = {format_number(TARGET)}"),
                Content.assemble(
                    f"loss    L = (y − t)² = ({format_number(output)} − "
                    f"{format_number(TARGET)})² = ",
                    (format_number(loss), "bold $primary"),
                ),
            ],
        )
    )
    backward = Page(
        (
            "The backward pass goes from the loss back to the weight and computes how the loss "
            "changes if the weight grows a little. It multiplies the derivatives of the single "
            "operations; that is the chain rule.",
            lambda _: [
                Content(f"dL/dy = 2·(y − t) = {format_number(output_gradient)}"),
                Content(f"dy/dw = x = {format_number(INPUT)}"),
                Content.assemble(
                    f"dL/dw = {format_factor(output_gradient)}·{format_number(INPUT)} = ",
                    (format_number(gradient), "bold $primary"),
                    "   the gradient",
                ),
            ],
            f"Check it: with w + {format_number(NUDGE)} the loss is "
            f"{format_number(nudged_loss, 7)}, a change of "
            f"{format_number((nudged_loss - loss) / NUDGE)} per unit of w. "
            "Backpropagation computes this exactly, for millions of weights in a single pass.",
        )
    )
    step = Page(
        (
            "The gradient points uphill, so the weight moves a step in the opposite direction. The "
            "learning rate determines how large this step is.",
            lambda _: [
                Content(
                    f"new w = w − learning rate·gradient = {format_number(WEIGHT)} − "
                    f"{format_number(LEARNING_RATE)}·{format_factor(gradient)} = "
                    f"{format_number(new_weight)}"
                ),
                Content.assemble(
                    f"loss: {format_number(loss)} before, ",
                    (format_number(new_loss), "bold $primary"),
                    " after",
                ),
            ],
            "That is one training step. A run does this for every batch of images, with all its "
            "weights at once. An epoch ends when every training image has been used once.",
        )
    )
    return Chapter("Forward and backward pass", (forward, backward, step))


def learning_rate_chapter() -> Chapter:
    """Return chapter 7: learning rates that are too small, right and too large."""
    intro = (
        "A weight w with the loss w², a valley with its minimum at 0. The gradient is 2·w. "
        f"Training starts at w = {format_number(START_WEIGHT)}; the digits show w after each step."
    )
    pages = [
        Page(
            (
                f"{intro} Learning rate {format_number(rate)}:",
                partial(_valley, rate),
                text,
            )
        )
        for rate, text in LEARNING_RATES
    ]
    end = Page(
        (
            "A real loss depends on millions of weights, and nobody can see its valleys. So watch "
            "the loss curve: if it hardly falls, the learning rate is too small; if it jumps, "
            "grows or becomes NaN, it is too large.",
            "In the dashboard, r changes the learning rate of a running run. Optimizers such as "
            "Adam adapt the step of each weight; the learning rate sets their overall scale.",
        )
    )
    return Chapter("The learning rate", (*pages, end))


def _valley(learning_rate: float, canvas: Canvas) -> list[Content]:
    """Return the parabola with the weight after each step, above a table of weights and losses."""
    weights = gradient_descent(lambda w: 2 * w, START_WEIGHT, learning_rate, STEPS)
    width, height = min(57, canvas.width // 2 * 2 - 1), 8
    largest = gradient_descent(lambda w: 2 * w, START_WEIGHT, LEARNING_RATES[-1][0], STEPS)
    limit = max(map(abs, largest))
    grid = DotGrid(width, height)

    def dot(w: float) -> tuple[int, int]:
        x = round((w / limit + 1) / 2 * (grid.width - 1))
        return x, round((1 - (w / limit) ** 2) * (grid.height - 1))

    curve = [dot(limit * (2 * x / (grid.width - 1) - 1)) for x in range(grid.width)]
    for (x0, y0), (x1, y1) in pairwise(curve):
        grid.line(x0, y0, x1, y1)
    marks: dict[tuple[int, int], str] = {}
    for step in reversed(range(len(weights))):  # the earliest step wins if several share a cell
        x, y = dot(weights[step])
        marks[y // 4, x // 2] = str(step)
    lines = [
        Content.assemble(
            *(
                (marks[y, x], "bold $secondary")
                if (y, x) in marks
                else (chr(BLANK + code) if code else " ", "$muted")
                for x, code in enumerate(grid.cells(y))
            )
        )
        for y in range(height)
    ]
    shown = range(0, len(weights), 1 if canvas.width >= 72 else 4)
    table = grid_lines(
        [
            ["step", *map(str, shown)],
            ["w", *(format_decimals(weights[step]) for step in shown)],
            ["loss", *(format_decimals(weights[step] ** 2) for step in shown)],
        ]
    )
    return [*lines, Content(""), *table]
