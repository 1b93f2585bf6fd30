"""The grammar of events accepts real logs and rejects wrong orders."""

import pytest

from cnn_engine.runlog.lines import from_line
from golden import golden_lines
from grammar import COMPLETION, FAILURE, SESSIONS, STOP, event_letters


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("completed", COMPLETION),
        ("stopped", STOP),
        ("failed", FAILURE),
        ("resumed", SESSIONS),
        ("distributed", SESSIONS),
    ],
)
def test_golden_logs_follow_grammar(name, order):
    letters = event_letters(map(from_line, golden_lines(name)))
    assert order.fullmatch(letters)
    assert SESSIONS.fullmatch(letters)


@pytest.mark.parametrize(
    ("letters", "is_valid"),
    [
        ("RSPEsslsvFblST.", True),  # saved within an epoch
        ("RSPEsvFblEs<EsvFlST.", True),  # rolled back after steps
        ("RSPEsvF<Es<EsvFlST.", True),  # rolled back after an epoch, then after steps
        ("RSPEsvFl<ST.", False),  # rolled back after the epoch was saved
        ("RSPEs<ST.", False),  # no epoch after the rollback
        ("RSPE<EsvFlST.", False),  # rolled back without a loss
        ("RSPEsv<EsvFlST.", False),  # rolled back within validation
        ("RSPEsvFbST.", False),  # latest state not saved
        ("RSEsvFlST.", False),  # not prepared
        ("RSPEsvFlT.", False),  # test stage not started
    ],
)
def test_grammar_of_complete_run(letters, is_valid):
    assert bool(COMPLETION.fullmatch(letters)) == is_valid


@pytest.mark.parametrize(
    ("letters", "is_valid"),
    [
        ("RSPEsvFEsvFblST.", True),  # not saved, as on a full disk
        ("RSPEsvFlEs<EslrSPEsvFlST.", True),
        ("RSPEs<rSPEsvFlST.", True),  # killed right after a rollback
        ("RSPEsvFlEs.rSP<EsvFlST.", False),  # rolled back without a loss
        ("RSPEsvFlEsrEsvFlST.", False),  # not prepared again
        ("SPEsvFlST.", False),
    ],
)
def test_grammar_of_several_sessions(letters, is_valid):
    assert bool(SESSIONS.fullmatch(letters)) == is_valid
