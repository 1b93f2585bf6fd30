"""A run as one JSON document, described by `run.schema.json`."""

import json
from typing import TextIO

from cnn_tui.exports.record import Record, series_points, step_columns, to_dict


def write_json(record: Record, out: TextIO) -> None:
    """Write the record, its steps and its series as strict JSON; non-finite numbers become null."""
    values = to_dict(record) | {
        "steps": step_columns(record),
        "series_points": series_points(record),
    }
    json.dump(values, out, indent=1, ensure_ascii=True, allow_nan=False)
    out.write("\n")
