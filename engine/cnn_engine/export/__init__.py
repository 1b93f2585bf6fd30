"""Export of a run's best model: one module per format, each with an `export` function.

`beside` holds example programs that are copied next to an exported model. They import cnn-tui only
if their docstring says so.
"""

from typing import TypeAlias

Files: TypeAlias = dict[str, bytes]
"""Content of the exported files by name."""
