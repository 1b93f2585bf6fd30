"""A run's marks: star, name, note and tags in `marks.json`."""

import pytest

from cnn_engine.runs.directory import create_run
from cnn_engine.runs.marks import NO_MARKS, Marks, read_marks, write_marks


def test_marks_round_trip(tmp_path):
    run = create_run(tmp_path)
    marks = Marks(star=True, name="wide", note="two lines", tags=("a", "b"))
    write_marks(run, marks)
    assert read_marks(run) == marks


def test_fields_of_a_wrong_type_do_not_invalidate_others(tmp_path):
    run = create_run(tmp_path)
    run.marks.write_text(
        '{"star": "yes", "name": 3, "note": "keep me", "tags": ["b", "a"], "x": 1}'
    )
    assert read_marks(run) == Marks(note="keep me", tags=("a", "b"))


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"note": "torn', "[" * 100_000])
def test_damaged_file_has_no_marks(tmp_path, content):
    run = create_run(tmp_path)
    run.marks.write_text(content)
    assert read_marks(run) is NO_MARKS
