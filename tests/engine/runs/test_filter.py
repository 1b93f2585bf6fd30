"""Filtering and sorting of runs."""

import dataclasses
import json
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_engine.errors import ConfigError
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.columns import RUN_COLUMNS, find_column
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.filter import parse
from cnn_engine.runs.selection import find_sort_column, select_runs
from cnn_engine.runs.summary import SeriesSummary, summarize

CONFIG = {
    "data": {"source": "digits", "path": None, "mean": [0.5]},
    "model": {"name": "cnn", "filters": [32, 64], "dropout": 0.5},
    "optimizer": {"name": "adam", "lr": 0.001},
    "train": {"seed": 7, "epochs": 20, "batch_size": 64, "huge": 10**400, "compile": True},
}
EMPTY = summarize(RunState(), RunDirectory(Path("runs/1124-0412-amber")))
YESTERDAY = datetime.now().replace(hour=12, minute=0) - timedelta(days=1)
RUN = dataclasses.replace(
    EMPTY,
    name="Second Try",
    preset="digits",
    status="done",
    started=YESTERDAY.timestamp(),
    seconds=600.0,
    device="cpu",
    parameters=651_850,
    process_count=2,
    epochs=20,
    epochs_done=18,
    best_val_loss=0.25,
    best_val_accuracy=0.95,
    config_json=json.dumps(CONFIG),
    star=True,
    note="lower rate, for the paper",
    tags=("baseline", "paper"),
)
DAY = f"{YESTERDAY:%Y-%m-%d}"

MATCHING_TEXT = f"""
acc>0.9 | acc>=95% | acc=0.95 | acc==0.95 | acc!=0.94 | acc<96% | val<0.3 | loss=0.25 | epochs=18
epochs<=18 | params>600k | params<0.7M | time=10m | time<=600 | time>9m59s | time<1h | time>0.1h
status=done | status!=failed | status!=live | status=DONE | star=yes | star | star!=no
name~try | name~SECOND | name="second try" | name~'sec*try' | name!~third | run~0412 | id~amber
tag=paper | tag~base | tags=baseline | tag!=draft | note~"lower rate" | paper | amber | digits
lr=0.001 | lr<=1e-3 | optimizer.lr=1e-3 | lr!=0.002 | seed=7 | seed>6.5 | batch_size=64
model=cnn | model~cn | model!~resnet | optimizer=adam | data=digits | filters~64 | dropout=50%
path=none | mean~0.5 | compile=true | compile=TRUE | test=none | test!=1 | not test>0 | testloss=""
started={DAY} | started<today | started=yesterday | started>7d | started>={DAY} | started<={DAY}
started>{DAY}T08:30 | preset=digits | config=digits | damaged=0 | processes>1 |
device=cpu | huge>5 | huge!=5
acc>0.9 status=done | acc > 0.9 and lr <= 0.001 | acc>1% or acc<2% and status=failed
(acc<0.1 or star) paper | not (acc<0.1 or tag=draft) | not not star | not acc<0.9 seed=7
((star)) | params!=none | "star" | (acc>0.99)or(star)
"""
MATCHING_FILTERS = [
    text.strip() for text in MATCHING_TEXT.replace("\n", "|").split("|") if text.strip()
]


@pytest.mark.parametrize("text", MATCHING_FILTERS)
def test_filter_matches(text):
    assert parse(text, [RUN]).matches(RUN)
    assert not parse(f"not ({text})", [RUN]).matches(RUN)


def test_empty_filter_matches_every_run():
    assert parse("", [RUN]).matches(RUN)
    assert parse("  ", [RUN]).matches(EMPTY)


@pytest.mark.parametrize(
    "text", ["acc>0", "acc<=1", "test=0.5", "started>2000-01-01", "lr<1", "lr=none status=done"]
)
def test_missing_value_matches_no_comparison(text):
    assert not parse(text, [RUN]).matches(EMPTY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acx>1", r"position 1: unknown column 'acx'; did you mean 'acc'\?"),
        ("star lrr>1", r"position 6: unknown column 'lrr'; did you mean 'lr'\?"),
        ("zzzz=1", "use acc, val, .*or a config key"),
        ("acc>90", r"acc: '90' is not a fraction from 0 to 1; write 0.9 or 90%"),
        ("acc>high", "acc: 'high' is not a fraction from 0 to 1; write 0.9 or 90%"),
        ("val>low", "val: 'low' is not a number"),
        ("val~3", "val: is not text"),
        ("time>long", "time: 'long' is not a duration; write 90s, 10m or 1h30m"),
        ("time>1.2.3", "is not a duration"),
        ("started>soon", "started: 'soon' is not a date; write 2026-11-24, today"),
        ("started>9999-12-31", "is not a date"),
        ("name>a", "name: is text; compare it with =, != or ~"),
        ("status=dome", r"status: unknown status 'dome'; did you mean 'done'\?"),
        ("star=7", "star: is yes or no; write star=yes or star=no"),
        ("acc>", "position 5: a value for 'acc' is missing"),
        ("acc>(", r"position 5: a value for 'acc' is expected, not '\('"),
        (">0.9", "position 1: a key or a word, such as acc>0.9, is expected, not '>'"),
        ("D(x) > 0.5", r"is expected, not '>'; quote a name with parentheses, such as \"D\(x\)\">"),
        ("star or", "position 8: a key or a word, such as acc>0.9, is missing"),
        ("(star", r"position 1: '\(' is never closed"),
        ("star)", r"position 5: '\)' has no opening parenthesis"),
        ("name='a", 'position 6: a value for .name. is expected, not "\'"'),
        ("(" * 60 + "star", "nested too deeply"),
        ("not " * 60 + "star", "nested too deeply"),
        ("a" * 3000, "longer than 2,000 characters"),
    ],
)
def test_error_names_problem_and_position(text, message):
    with pytest.raises(ConfigError, match=message) as raised:
        parse(text, [RUN])
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("name", ['"D(x)"', "'D(x)'", "`D(x)`"])
def test_series_with_parentheses_is_quoted(name):
    run = dataclasses.replace(RUN, series={"D(x)": SeriesSummary(0.7, 0.1, 0.9)})
    assert parse(f"{name} > 0.5", [run]).matches(run)
    assert not parse(f"{name}<0.5", [run]).matches(run)
    assert find_sort_column(f"-{name}", [run]).value(run) == 0.7


def test_ambiguous_key_is_refused():
    both = dataclasses.replace(RUN, config_json='{"a": {"rate": 1}, "b": {"rate": 2}}')
    with pytest.raises(ConfigError, match=r"'rate' is ambiguous: write a.rate or b.rate"):
        parse("rate=1", [both])
    assert parse("b.rate=2", [both]).matches(both)


def test_key_of_this_version_is_accepted_if_runs_lack_it():
    parsed = parse("train.checkpoint_seconds>5", [RUN])
    assert not parsed.matches(RUN)


def test_filter_lists_its_columns():
    keys = [column.key for column in parse("acc>0.5 (lr>0 or lr<1) not tag=x", [RUN]).columns]
    assert keys == ["acc", "optimizer.lr", "tag"]


PIECES = [
    *(
        *RUN_COLUMNS,
        "lr",
        "train.seed",
        "model",
        "(",
        ")",
        "or",
        "and",
        "not",
        '"',
        "'",
        "0.9",
        "90%",
    ),
    *("=", "!=", "<", "<=", ">", ">=", "~", "!~", "1h30m", "2026-11-24", "7d", "none", "live", " "),
]


@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_any_text_parses_or_raises_config_error(text):
    """Any exception other than ConfigError fails the test."""
    with suppress(ConfigError):
        parsed = parse(text, [RUN])
        assert isinstance(parsed.matches(RUN), bool)
        assert isinstance(parsed.matches(EMPTY), bool)


def runs_with(**values):
    """Return runs a, b, … that differ in one value."""
    ((field, given_values),) = values.items()
    return [
        dataclasses.replace(RUN, run_id=run_id, **{field: value})
        for run_id, value in zip("abcdef", given_values, strict=False)
    ]


@pytest.mark.parametrize(
    ("sort", "runs", "order"),
    [
        ("acc", runs_with(best_val_accuracy=[0.5, None, 0.9, 0.1]), "dacb"),
        ("-acc", runs_with(best_val_accuracy=[0.5, None, 0.9, 0.1]), "cadb"),
        ("testloss", runs_with(test_loss=[2.0, float("nan"), 1.0]), "cab"),
        ("name", runs_with(name=["b", "", "A"]), "cab"),
        ("-name", runs_with(name=["b", "", "A"]), "acb"),
        ("tag", runs_with(tags=[("x",), (), ("a", "z")]), "cab"),
        ("lr", runs_with(config_json=["{}", '{"optimizer": {"lr": 2}}', '{"optimizer": {"lr": 1}}',
                                      '{"optimizer": {"lr": "x"}}', "damaged"]), "cbdae"),
        ("epochs", runs_with(epochs_done=[1, 1, 0]), "cab"),
    ],
)  # fmt: skip
def test_runs_are_sorted_by_column_with_missing_values_last(sort, runs, order):
    assert "".join(run.run_id for run in select_runs(runs, sort=sort).runs) == order


def test_error_names_unknown_sort_key():
    with pytest.raises(ConfigError, match=r"sort: unknown column 'acx'; did you mean 'acc'\?"):
        select_runs([RUN], sort="-acx")


@pytest.mark.parametrize("key", ["vector_lr", "optimizer.vector_lr", "bias_norm_lr"])
def test_renamed_config_keys_match_old_and_new_runs(key):
    for name in ("vector_lr", "bias_norm_lr"):
        run = dataclasses.replace(RUN, config_json=f'{{"optimizer": {{"{name}": 0.2}}}}')
        assert parse(f"{key}=0.2", [run]).matches(run)


def with_series(**changes):
    """Return a run of another loop with two series and a rate in its config."""
    series = {
        "val/f1": SeriesSummary(0.8, 0.1, 0.9),
        "box loss (B)": SeriesSummary(1.2, 1.1, 3.0),
    }
    config = json.dumps({"config": {"lr": 0.1}})
    return dataclasses.replace(EMPTY, **{"series": series, "config_json": config} | changes)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "val/f1>0.7",
            "last:val/f1=80%",
            "max:val/f1>=0.9 min:val/f1<0.2",
            "val/f1<0.5 or lr=0.1",
        ),
        *("'box loss (B)'<2", '"max:box loss (B)"=3', "val/missing=none or val/f1>0"),
    ],
)
def test_series_are_compared_by_their_last_value_or_an_extreme(text):
    runs = [with_series(), with_series(series={"val/missing": SeriesSummary(1.0, 1.0, 1.0)})]
    assert parse(text, runs).matches(runs[0])


@pytest.mark.parametrize("text", ["val/f1>0.8", "max:val/f1<0.9", "val/f1!=0.8", "not lr=0.1"])
def test_other_values_of_a_series_do_not_match(text):
    assert not parse(text, [with_series()]).matches(with_series())


def test_runs_are_sorted_by_a_series():
    low, high = with_series(), with_series(series={"val/f1": SeriesSummary(0.9, 0.0, 0.9)})
    for sort, order in {"val/f1": [low, high, EMPTY], "-min:val/f1": [low, high, EMPTY]}.items():
        selection = select_runs([EMPTY, high, low], sort=sort)
        assert list(selection.runs) == order
    assert find_column("box loss (B)", [low]).is_ascending
    assert not find_column("val/f1", [low]).is_ascending


def test_misspelled_series_is_suggested():
    with pytest.raises(ConfigError, match="unknown column 'max:val/f2'; did you mean 'max:val/f1'"):
        parse("max:val/f2>1", [with_series()])


def test_rate_of_own_runs_and_of_other_loops_is_one_column():
    runs = [RUN, with_series()]
    assert [parse("lr<0.01", runs).matches(run) for run in runs] == [True, False]
    assert [parse("lr>0.01", runs).matches(run) for run in runs] == [False, True]
