"""The order of events documented in `events.py`, as regular expressions over letters."""

import re

from cnn_engine.runlog import events

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
    events.RunQueued: "q",
    events.RolledBack: "<",
}
EPOCH_STEPS = "E[sl]*"
"""Steps of an epoch; the latest state may be saved between them."""

EPOCH = f"{EPOCH_STEPS}v*Fb?l"
ROLLED_BACK = rf"{EPOCH_STEPS}(s|v*F)<"
"""An epoch that was rolled back after some of its steps or after validation."""

EPOCHS = f"(({ROLLED_BACK})*{EPOCH})*"
STARTED_EPOCH = rf"({ROLLED_BACK})*({EPOCH_STEPS}(v*(F(b)?)?)?)?"
PREPARATION = "R(Sp*)+(C(Sp*)+)?P"
PREFIX_OF_PREPARATION = "(Sp*)*(C(Sp*)*)?"
COMPLETION = re.compile(rf"{PREPARATION}{EPOCHS}ST\.")
STOP = re.compile(rf"R{PREFIX_OF_PREPARATION}(P{EPOCHS}({STARTED_EPOCH}l(ST?)?|ST?)?)?\.")
FAILURE = re.compile(rf"R{PREFIX_OF_PREPARATION}(P{EPOCHS}({STARTED_EPOCH}|S))?\.")

EPOCHS_BEHIND = "(E[sbl]*v*F)*[bl]*"
"""Epochs whose checkpoints are written while training continues and recorded later."""

COMPLETION_BEHIND = re.compile(rf"{PREPARATION}{EPOCHS_BEHIND}S[bl]*T\.")

UNSAVED = f"(({ROLLED_BACK})*{EPOCH}?)*"
"""Epochs whose latest state may not have been saved, as on a full disk."""

SESSION = rf"{PREFIX_OF_PREPARATION}(PC?{UNSAVED}{STARTED_EPOCH}l?(ST?)?)?\.?"
QUEUED = r"(q\.?)*"
"""Times for which the run waited in the queue, or was cancelled there."""

SESSIONS = re.compile(rf"R{QUEUED}{SESSION}({QUEUED}r{SESSION})*")

LOOP_LETTERS = LETTERS | {events.LoopDescribed: "D", events.ScalarsLogged: "a"}

LOOP_SESSION = r"(D|C|s?a|F)*\.?"
"""A session of a loop that is not cnn-tui's own: steps always with their series."""

LOOP_SESSIONS = re.compile(rf"RD{LOOP_SESSION}(rD{LOOP_SESSION})*")


def event_letters(logged, letters=LETTERS):
    """Return the events as letters, without kinds that may occur anywhere."""

    def letter(event):
        if isinstance(event, events.CheckpointSaved) and event.reason != "asked":
            return event.reason[0]
        return letters.get(type(event), "")

    return "".join(map(letter, logged))
