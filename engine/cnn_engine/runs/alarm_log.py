"""Records the alarms of a run in its log, so that every view of the run shows them."""

from cnn_engine.runlog.alarms import Kind, find_alarms
from cnn_engine.runlog.events import AlarmRaised
from cnn_engine.runs.recorder import Recorder


class AlarmLog:
    """Records each alarm once, and again if it comes back in a later epoch."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._present: set[Kind] = set()
        self._epochs: dict[Kind, int] = {}
        """Epoch in which each kind was last recorded."""

    def check(self) -> None:
        """Record new alarms; call it after events that may cause one."""
        state = self._recorder.state
        alarms = find_alarms(state, state.last_time, live=True)
        for alarm in alarms:
            if alarm.kind in self._present or self._epochs.get(alarm.kind) == state.epoch:
                continue
            self._epochs[alarm.kind] = state.epoch
            self._recorder.record(
                AlarmRaised(
                    alarm=alarm.kind,
                    severity=alarm.severity,
                    text=alarm.text,
                    advice=alarm.advice,
                )
            )
        self._present = {alarm.kind for alarm in alarms}
