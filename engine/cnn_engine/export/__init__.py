"""A run's model handed on: each module makes one format, as the content of files by name.

`beside` holds programs that are put beside a model as they are; they import nothing of ours but
where they say so.
"""

from typing import TypeAlias

Files: TypeAlias = dict[str, bytes]
"""Contents by name."""
