"""Encoding and decoding of events as lines of strict JSON."""

import json
import math
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_engine.runlog import events
from cnn_engine.runlog.lines import from_line, to_line

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
st.register_type_strategy(int, INT64)
JSON_VALUES = st.dictionaries(st.text(), INT64 | st.text(), max_size=3)


def fields_of(kind):
    """Return hypothesis strategies for the fields of an event class."""
    finite = st.floats(allow_nan=False, allow_infinity=False)
    bins = st.lists(st.tuples(INT64, INT64, finite)).map(tuple)
    numbers = st.lists(finite).map(tuple)
    special = {
        dict[str, object]: JSON_VALUES,
        events.Bins: bins,
        tuple[float, ...]: numbers,
        dict[str, events.Scalar]: st.dictionaries(st.text(), numbers),
    }
    hints = get_type_hints(kind, include_extras=True)  # keeps `events.Bins` apart from plain tuples
    return {"time": finite} | {
        name: JSON_VALUES if "typing.Any" in str(hint) else special.get(hint, st.from_type(hint))
        for name, hint in hints.items()
        if name != "time"  # always finite
    }


def any_event():
    return st.one_of(*(st.builds(kind, **fields_of(kind)) for kind in events.KINDS.values()))


def is_same(left, right):
    """Return True if two events are equal, taking NaN as equal to NaN."""
    return type(left) is type(right) and all(
        one == other or (one != one and other != other)  # noqa: PLR0124
        for one, other in zip(vars(left).values(), vars(right).values(), strict=True)
    )


@given(any_event())
def test_event_survives_round_trip(event):
    line = to_line(event)
    assert "\n" not in line
    assert line.isascii()
    assert is_same(from_line(line), event)


def test_non_finite_numbers_are_null_and_listed():
    event = events.CheckpointSaved(
        reason="best", epoch=1, file="best.pt", old_loss=math.inf, new_loss=math.nan
    )
    values = json.loads(to_line(event), parse_constant=pytest.fail)
    assert values["old_loss"] is None
    assert values["nonfinite"] == {"old_loss": "inf", "new_loss": "nan"}
    decoded = from_line(to_line(event))
    assert decoded.old_loss == math.inf
    assert math.isnan(decoded.new_loss)


def test_file_names_that_are_not_utf_8_survive_round_trip():
    event = events.RunImported(time=1.0, source="caf\udce9/\ud800", steps_per_epoch=7)
    assert from_line(to_line(event)) == event
    assert from_line(to_line(event).encode()) == event


def test_unknown_kinds_and_fields_are_ignored():
    assert from_line('{"kind":"ModelPruned","time":1.0}') is None
    event = from_line('{"kind":"EpochStarted","time":1.0,"epoch":3,"colour":"red"}')
    assert event == events.EpochStarted(time=1.0, epoch=3)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        '"EpochStarted"',
        '{"time":1.0}',
        '{"kind":["EpochStarted"],"time":1.0,"epoch":3}',
        '{"kind":"EpochStarted","time":1.0}',
        '{"kind":"EpochStarted","time":1.0,"epoch":"3"}',
        '{"kind":"EpochStarted","time":1.0,"epoch":3.5}',
        '{"kind":"EpochStarted","time":null,"epoch":3}',
        '{"kind":"EpochStarted","time":1.0,"epoch":9223372036854775808}',
        '{"kind":"EpochStarted","time":1.0,"epoch":9223372036854775808,"name":"\\udce9"}',
        '{"kind":"EpochStarted","time":1.0,"epoch":-9223372036854775809,"name":"\\udce9"}',
        '{"kind":"EpochStarted","time":1.0,"epoch":3,"nonfinite":7}',
        '{"kind":"StageStarted","time":1.0,"stage":"lunch"}',
        '{"kind":"EpochStarted","time":1.0,"epoch":3',
        '{"kind":"EpochStarted","time":1.0,"epoch":3} {}',
        '{"kind":"EpochStarted","time":1.0,"epoch":true}',
        '{"kind":"EpochStarted","time":1' + 400 * "0" + ',"epoch":3}',
        '{"kind":"StageProgressed","time":1.0,"what":"x","done":[1],"total":2}',
        '{"kind":"ConfigReplaced","time":1.0,"preset":"a","reason":"b","config":{"train":{"epochs":1'
        + 400 * "0"
        + "}}}",
        200_000 * "[",
        '{"kind":"Notice","time":1.0,"text":"\\ud800","more":' + 200_000 * "[",
        b"\xff\x00\x80",
    ],
)
def test_invalid_line_raises_value_error(line):
    with pytest.raises(ValueError):  # noqa: PT011 - only the type is documented
        from_line(line)


EPOCH = events.EpochFinished(
    time=1.0,
    epoch=1,
    train_loss=1.0,
    train_accuracy=0.5,
    val_loss=1.0,
    correct=(3, 4),
    total=(5, 6),
    train_seconds=1.0,
    val_seconds=1.0,
    confusion=((0, 1, 2), (1, 0, 2)),
)


def test_older_log_has_no_confusion():
    values = json.loads(to_line(EPOCH))
    del values["confusion"]
    assert from_line(json.dumps(values)).confusion == ()


@pytest.mark.parametrize(
    "confusion",
    ["none", [1], [[0, 1]], [[0, 1, 2, 3]], [[0, 1, 2.0]], [[0, 1, None]], [[0, [1], 2]], {}],
)
def test_confusion_must_be_triples_of_integers(confusion):
    values = json.loads(to_line(EPOCH)) | {"confusion": confusion}
    with pytest.raises(ValueError):  # noqa: PT011 - only the type is documented
        from_line(json.dumps(values))


def test_integers_are_accepted_as_floats():
    line = to_line(EPOCH).replace('"val_loss":1.0', '"val_loss":1')
    assert line != to_line(EPOCH)
    assert from_line(line) == EPOCH
    assert type(from_line(line).val_loss) is float
