"""Fixtures with records of runs."""

from dataclasses import replace

import pytest

from cnn_engine.results import mistakes
from cnn_engine.results.mistakes import Mistake
from cnn_engine.runlog.events import Notice, RunPrepared, RunStarted
from cnn_tui.exports.record import read_record
from exports_for_tests import HOSTILE, with_environment
from golden import add_events, golden_run, rewrite_events
from loops_for_tests import classifier, finished, loop_run


@pytest.fixture
def completed(tmp_path):
    return read_record(golden_run(tmp_path, "completed"))


@pytest.fixture
def of_loop(tmp_path):
    """Record of a run that another training loop logged."""
    return read_record(loop_run(tmp_path, finished(classifier())))


@pytest.fixture
def resumed(tmp_path):
    return read_record(golden_run(tmp_path, "resumed"))


@pytest.fixture
def hostile(tmp_path):
    """Record of a run with hostile text in every name."""

    def change(event):
        match event:
            case RunStarted():
                config = event.config | {"data": {"path": HOSTILE[-1], "source": HOSTILE[7]}}
                return replace(event, name=HOSTILE[6], preset=HOSTILE[7], config=config)
            case RunPrepared():
                return replace(event, classes=HOSTILE, source=HOSTILE[6], device_name=HOSTILE[0])
            case _:
                return event

    run = rewrite_events(golden_run(tmp_path, "completed"), change)
    return read_record(add_events(run, Notice(text=" ".join(HOSTILE))))


@pytest.fixture
def tested(tmp_path):
    """Record of a run with more mistakes than a report shows, one with a hostile file name."""
    record = read_record(golden_run(tmp_path, "completed"))
    test = replace(
        record.state.test,
        correct=(30, *record.state.test.correct[1:]),
        total=(60, *record.state.test.total[1:]),
        confusion=((0, 1, 30),),
        top5=350,
        bins=((100, 60, 45.0), (290, 280, 270.0)),
    )
    run = add_events(record.run, test)
    images = [
        Mistake(
            name="<i>\x1b[2J.png" if number == 3 else f"{number}.png",
            target=0,
            predicted=1,
            confidence=1 - number / 100,
            rank=2,
            pixels=bytes((number + index) % 256 for index in range(6)),
            width=3,
            height=2,
            channels=1,
        )
        for number in range(30)
    ]
    content = mistakes.encode_mistakes(images, test.epoch, test.fingerprint)
    (run.path / mistakes.MISTAKES_FILE).write_bytes(content)
    return with_environment(run, {"revision": "0123abcd with changes", "images": "9f8e7d"})
