"""Orthogonalizes many matrices at once, for Muon (K. Jordan and others, 2024)."""

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic Newton-Schulz iteration of kellerjordan.github.io/posts/muon. Small
singular values grow fast, and all end between 0.7 and 1.2 instead of at 1."""

ITERATIONS = 5

EPSILON = 1e-7
"""Minimum norm that a matrix is divided by."""

MAX_PADDING = 2.0
"""Maximum ratio of padded to original elements on a GPU, where matrices of different shapes are
padded with zeros to one shape: a product of many takes as long as a product of few."""


class Orthogonalizer:
    """Replaces the singular values of matrices of fixed shapes by about 1, in bf16."""

    def __init__(self, matrices: list[Tensor]) -> None:
        """Prepare for matrices of these shapes, on their device."""
        padding = MAX_PADDING if matrices and matrices[0].is_cuda else 1.0
        self._stacks = [_Stack(matrices, positions) for positions in _stacks(matrices, padding)]
        self._count = len(matrices)

    def __call__(self, matrices: list[Tensor], scale: Tensor) -> list[Tensor]:
        """Return the orthogonalized matrices, each times `scale` · √max(1, rows / columns).

        Args:
            matrices: fp32 [rows, columns] each.
            scale: fp32 [].
        """
        results: dict[int, Tensor] = {}
        for stack in self._stacks:
            results |= stack.orthogonalized(matrices, scale)
        return [results[position] for position in range(self._count)]


class _Stack:
    """Matrices stacked in one tensor [matrices, max shorter side, max longer side]."""

    def __init__(self, matrices: list[Tensor], positions: list[int]) -> None:
        self._positions = positions
        shapes = [matrices[position].shape for position in positions]
        sides = [sorted(shape) for shape in shapes]
        shape = len(positions), max(side[0] for side in sides), max(side[1] for side in sides)
        self._is_tall = [rows > columns for rows, columns in shapes]
        device = matrices[positions[0]].device
        # The padding of smaller matrices stays zero in every product.
        self._stack = torch.zeros(shape, dtype=torch.bfloat16, device=device)
        self._views = [
            self._stack[number, : side[0], : side[1]] for number, side in enumerate(sides)
        ]
        ratios = [max(1.0, rows / columns) ** 0.5 for rows, columns in shapes]
        self._ratios = torch.tensor(ratios, device=device).view(-1, 1, 1)

    def orthogonalized(self, matrices: list[Tensor], scale: Tensor) -> dict[int, Tensor]:
        """Return results by position in the list."""
        for view, position, is_tall in zip(
            self._views, self._positions, self._is_tall, strict=True
        ):
            matrix = matrices[position]
            view.copy_(matrix.mT if is_tall else matrix)
        result = _newton_schulz(self._stack).float() * (self._ratios * scale)
        parts = zip(self._views, self._positions, self._is_tall, strict=True)
        return {
            position: (part.mT if is_tall else part)
            for number, (view, position, is_tall) in enumerate(parts)
            for part in [result[number, : view.shape[0], : view.shape[1]]]
        }


def _newton_schulz(stack: Tensor) -> Tensor:
    """Return [N, rows, columns], rows <= columns, with singular values near 1."""
    a, b, c = COEFFICIENTS
    norm = torch.linalg.vector_norm(stack, dim=(1, 2), keepdim=True)
    result: Tensor = stack / norm.clamp(min=EPSILON)
    for _ in range(ITERATIONS):
        gram = result @ result.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        result = torch.baddbmm(result, polynomial, result, beta=a)
    return result


def _stacks(matrices: list[Tensor], padding: float) -> list[list[int]]:
    """Return the positions of the matrices in each stack, the largest first."""
    order = sorted(range(len(matrices)), key=lambda at: (-matrices[at].numel(), at))
    stacks: list[list[int]] = []
    for position in order:
        together = [*stacks[-1], position] if stacks else []
        if together and _padded_size(matrices, together) <= padding:
            stacks[-1] = together
        else:
            stacks.append([position])
    return stacks


def _padded_size(matrices: list[Tensor], positions: list[int]) -> float:
    """Return the ratio of padded to original elements of a stack."""
    sides = [sorted(matrices[position].shape) for position in positions]
    padded = len(sides) * max(side[0] for side in sides) * max(side[1] for side in sides)
    return padded / sum(side[0] * side[1] for side in sides)
