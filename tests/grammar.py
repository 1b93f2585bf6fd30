"""The legal order of events, as `events.py` tells it, over runs spelled as letters."""

import re

from cnn_engine import events

LETTERS = {
    events.RunStarted: "R",
    events.ConfigReplaced: "C",
    events.StageStarted: "S",
    events.StageProgressed: "p",
    events.RunPrepared: "P",
    events.EpochStarted: "E",
    events.StepsFinished: "s",
    events.ValidationProgressed: "v",
    events.EpochFinished: "F",
    events.TestFinished: "T",
    events.RunFinished: ".",
    events.RunResumed: "r",
}
EPOCH = "Es*v*Fb?l"
PREPARATION = "R(Sp*)+(C(Sp*)+)?P"
COMPLETION = re.compile(rf"{PREPARATION}({EPOCH})*ST\.")
PREFIX_OF_EPOCH = r"(E(s*(v*(F(b)?)?)?)?)?"
STOP = re.compile(rf"R(Sp*)*(C(Sp*)*)?(P({EPOCH})*({PREFIX_OF_EPOCH}l|S)?)?\.")
FAILURE = re.compile(rf"R(Sp*)*(C(Sp*)*)?(P({EPOCH})*({PREFIX_OF_EPOCH}|S))?\.")

SESSION = rf"(Sp*)*(C(Sp*)*)?(P({EPOCH})*({PREFIX_OF_EPOCH}l?|S|ST))?\.?"
SESSIONS = re.compile(rf"R{SESSION}(r{SESSION})*")


def spelled(happened):
    """The run's events as letters; what may stand anywhere is left out."""

    def letter(event):
        if isinstance(event, events.CheckpointSaved) and event.reason != "asked":
            return event.reason[0]
        return LETTERS.get(type(event), "")

    return "".join(map(letter, happened))
