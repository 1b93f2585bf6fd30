"""JSON Schema of configs, with the text of every key, for editors of TOML files.

After a change of the keys: `python -m cnn_engine.config.json_schema > configs/config.schema.json`
"""

import ast
import inspect
import json
import sys
from typing import Any

from cnn_engine.config import schema
from cnn_engine.config.built_in_models import BUILT_IN_MODELS
from cnn_engine.config.schema import Config


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of a config, with tables by name in `$defs`."""
    found = Config.model_json_schema()
    texts = _field_texts()
    for name, table in found["$defs"].items():
        for key, field in table["properties"].items():
            table["properties"][key] = _without_null(field) | {"description": texts[name, key]}
    for table in found["properties"].values():
        table.pop("default", None)  # repeats those of its keys
    names = found["$defs"]["ModelConfig"]["properties"]["name"]
    names["anyOf"] = [{"enum": list(BUILT_IN_MODELS)}, {"pattern": r"^[\w.]+:\w+$"}]
    del found["title"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Config of cnn-tui",
        **found,
        "description": "Config of a run, for `cnn-tui run FILE`.",
    }


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field without null, which TOML does not have, and without title."""
    field = {key: value for key, value in field.items() if key != "title"}
    if field.get("default", ...) is None:
        del field["default"]
        (kind,) = (kind for kind in field.pop("anyOf") if kind != {"type": "null"})
        field |= kind
    return field


def _field_texts() -> dict[tuple[str, str], str]:
    """Return the docstrings of all fields by class and field.

    They are read from the source, as Python keeps none for fields.
    """
    texts: dict[tuple[str, str], str] = {}
    for table in ast.parse(inspect.getsource(schema)).body:
        if isinstance(table, ast.ClassDef):
            for field, text in zip(table.body, table.body[1:], strict=False):
                match field, text:
                    case (
                        ast.AnnAssign(target=ast.Name(id=key)),
                        ast.Expr(value=ast.Constant(value=str(words))),
                    ):
                        texts[table.name, key] = " ".join(words.split())
    return texts


if __name__ == "__main__":
    sys.stdout.write(json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n")
