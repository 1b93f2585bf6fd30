"""JSON for `--json` and exports."""

import json
import math
from typing import Any

from cnn_tui.text.safe import safe_text


def to_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return strict JSON, with null for NaN and infinity."""
    return json.dumps(finite(value), indent=2, allow_nan=False)


def config_value_text(value: object, limit: int = 80) -> str:
    """Return a config value as `--set` accepts it, as safe text; a dash for None."""
    if value is None:
        return "–"
    return safe_text(value if isinstance(value, str) else json.dumps(value), limit)


def finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value with None in place of NaN and infinity."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): finite(item) for key, item in value.items()}
        case list() | tuple():
            return [finite(item) for item in value]
    return value
