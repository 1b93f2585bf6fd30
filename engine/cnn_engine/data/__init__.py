"""Images from wherever they are, as one uint8 tensor, checked before training starts.

What needs PyTorch is imported when it is first asked for: looking a folder over does without.
"""

from typing import TYPE_CHECKING, Any

from cnn_engine.data.sources.raw import Progress

if TYPE_CHECKING:
    from cnn_engine.data.dataset import DataSet, load

__all__ = ["DataSet", "Progress", "load"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - as the language has it
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cnn_engine.data import dataset  # noqa: PLC0415 - see the module's text

    return getattr(dataset, name)
