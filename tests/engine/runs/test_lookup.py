"""Runs found by their id, name, the word of their id, or a part of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_engine.errors import ConfigError
from cnn_engine.runs.directory import iter_runs
from cnn_engine.runs.lookup import find_run
from cnn_engine.runs.marks import Marks, write_marks
from cnn_engine.runs.trash import delete, restore
from golden import golden_lines, golden_run

NAMES = {
    "1124-0412-amber": "first try",
    "1124-0412-aspen": "wide net",
    "1124-0500-teal": "wide net, lr 0.1",
    "1125-0100-amber": "",
    "1125-0200-rain": "amber",
    "1125-0300-grain": "Über-Net",
}


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory):
    """Return a directory with the runs of `NAMES`."""
    directory = tmp_path_factory.mktemp("runs")
    for position, (run_id, name) in enumerate(NAMES.items()):
        run = golden_run(directory, "completed", run_id)
        first, *rest = golden_lines("completed")
        values = json.loads(first) | {"time": 1000.0 + position, "name": name}
        run.events.write_text("\n".join([json.dumps(values), *rest]) + "\n")
    return directory


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("latest", "1125-0300-grain"),
        ("1124-0412-amber", "1124-0412-amber"),
        ("1124-0412-as", "1124-0412-aspen"),
        ("1124-05", "1124-0500-teal"),
        ("teal", "1124-0500-teal"),
        ("TEAL", "1124-0500-teal"),
        ("first try", "1124-0412-amber"),
        ("first", "1124-0412-amber"),
        (" first try ", "1124-0412-amber"),
        ("wide net", "1124-0412-aspen"),
        ("lr 0.1", "1124-0500-teal"),
        ("amber", "1125-0200-rain"),
        ("rain", "1125-0200-rain"),
        ("0300", "1125-0300-grain"),
        ("über-net", "1125-0300-grain"),
        ("ÜBER", "1125-0300-grain"),
    ],
)
def test_run_is_found_by_id_name_word_or_part(runs_dir, reference, found):
    assert find_run(runs_dir, reference).id == found


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("1124-0412", "2 runs match: 1124-0412-aspen (wide net), 1124-0412-amber (first try);"),
        ("wide", "2 runs match: 1124-0500-teal (wide net, lr 0.1), 1124-0412-aspen (wide net);"),
        ("a", "6 runs match: 1125-0300-grain (Über-Net), 1125-0200-rain (amber), 1125-0100-amber,"),
        ("telal", "not found in .*; did you mean 1124-0500-teal .wide net, lr 0.1.*; see: "),
        ("frist try", "did you mean 1124-0412-amber .first try"),
        ("zzz", "not found in .*; see: cnn-tui runs --runs-dir .*$"),
        ("", "not found"),
        ("  ", "not found"),
        ("../x", "not found"),
        ("/etc", "not found"),
        ("\0", "not found"),
    ],
)
def test_ambiguous_or_unknown_reference_lists_similar_runs(runs_dir, reference, expected):
    is_literal = "match:" in expected
    pattern = expected.replace("(", r"\(").replace(")", r"\)") if is_literal else expected
    with pytest.raises(ConfigError, match=pattern):
        find_run(runs_dir, reference)


@given(reference=st.text(max_size=20) | st.sampled_from(["1124", "amber", "wide", "net", "-", "1"]))
def test_every_reference_finds_a_matching_run_or_is_refused(runs_dir, reference):
    try:
        run = find_run(runs_dir, reference)
    except ConfigError:
        return
    part = reference.strip().casefold()
    assert reference == "latest" or part in run.id.casefold() or part in NAMES[run.id].casefold()


def test_new_name_replaces_the_first(tmp_path):
    run = golden_run(tmp_path, "completed")
    golden_run(tmp_path, "stopped", "1124-0500-teal")
    write_marks(run, Marks(name="renamed"))
    assert find_run(tmp_path, "renamed") == run
    with pytest.raises(ConfigError, match="not found"):
        find_run(tmp_path, "baseline")


def test_deleted_run_is_restored_by_name(tmp_path):
    run = golden_run(tmp_path, "completed")
    delete(run)
    with pytest.raises(ConfigError, match="see: cnn-tui trash"):
        restore(tmp_path, "unknown")
    assert restore(tmp_path, "baseline") == run
    assert list(iter_runs(tmp_path)) == [run]
