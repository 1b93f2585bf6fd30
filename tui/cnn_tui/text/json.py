"""JSON as printed and exported."""

import json
import math
from typing import Any


def to_json(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """Strict JSON for scripts, which has no NaN and no infinity: null stands for them."""
    return json.dumps(finite(value), indent=2, allow_nan=False)


def finite(value: Any) -> Any:  # noqa: ANN401
    """The value with None in the place of what is no number."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): finite(part) for key, part in value.items()}
        case list() | tuple():
            return [finite(part) for part in value]
    return value
