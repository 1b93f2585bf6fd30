"""Length of the epochs of a loop in which validations end them."""


class EpochLength:
    """Learns the steps of an epoch from the intervals between validations."""

    def __init__(self, step: int) -> None:
        """Begin a session after so many steps."""
        self._last = step
        self.learned = 0
        """Steps of an epoch; 0 if unknown, or if the intervals are irregular."""
        self._is_corrected = self._is_irregular = False

    def begin(self, step: int) -> None:
        """Measure the first interval from a validation that ends no epoch."""
        self._last = step

    def learn(self, step: int, epoch: int, epochs: int) -> int:
        """Return the length of an epoch after a validation.

        Args:
            step: Steps since the start of the run, at least 1.
            epoch: Epoch that ends with the validation.
            epochs: Epochs since the validation before.
        """
        length = max(1, round((step - self._last) / max(1, epochs)))
        self._last = step
        if self._is_irregular or length == self.learned:
            return self.learned
        if not self.learned:
            self.learned = length
        elif not self._is_corrected and _fits(length, step, epoch):
            self.learned, self._is_corrected = length, True
        elif not _fits(self.learned, step, epoch):
            self.learned, self._is_irregular = 0, True
        return self.learned


def _fits(length: int, step: int, epoch: int) -> bool:
    """Return True if epochs of this length end about where they did."""
    return abs(step - epoch * length) <= max(1, length // 10)
