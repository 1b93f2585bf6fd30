"""The grammar of events accepts real logs and rejects wrong orders."""

import pytest

from cnn_engine.runlog.lines import from_line
from golden import golden_lines
from grammar import COMPLETION, FAILURE, SESSIONS, STOP, event_letters


@pytest.mark.parametrize(
    ("name", "order"),
    [("completed", COMPLETION), ("stopped", STOP), ("failed", FAILURE), ("resumed", SESSIONS)],
)
def test_golden_logs_follow_grammar(name, order):
    happened = event_letters(map(from_line, golden_lines(name)))
    assert order.fullmatch(happened)
    assert SESSIONS.fullmatch(happened)


@pytest.mark.parametrize(
    ("happened", "is_legal"),
    [
        ("RSPEsslsvFblST.", True),  # saved because it was time
        ("RSPEsvFblEs<EsvFlST.", True),  # rolled back after steps, after an epoch, twice, and more
        ("RSPEsvF<Es<EsvFlST.", True),
        ("RSPEsvFl<ST.", False),  # whose epoch was over
        ("RSPEs<ST.", False),  # and no epoch begun again
        ("RSPE<EsvFlST.", False),  # without a loss to do it for
        ("RSPEsv<EsvFlST.", False),
        ("RSPEsvFbST.", False),  # its latest state not saved
        ("RSEsvFlST.", False),  # not prepared
        ("RSPEsvFlT.", False),
    ],
)
def test_grammar_of_complete_run(happened, is_legal):
    assert bool(COMPLETION.fullmatch(happened)) == is_legal


@pytest.mark.parametrize(
    ("happened", "is_legal"),
    [
        ("RSPEsvFEsvFblST.", True),  # a full disk: not saved
        ("RSPEsvFlEs<EslrSPEsvFlST.", True),
        ("RSPEs<rSPEsvFlST.", True),  # killed right after it was rolled back
        ("RSPEsvFlEs.rSP<EsvFlST.", False),
        ("RSPEsvFlEsrEsvFlST.", False),  # not prepared anew
        ("SPEsvFlST.", False),
    ],
)
def test_grammar_of_several_sessions(happened, is_legal):
    assert bool(SESSIONS.fullmatch(happened)) == is_legal
