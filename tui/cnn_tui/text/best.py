"""The best epoch and the metric that selects it, as text."""

import math

from cnn_engine.runlog.best_metric import VAL_ACCURACY, VAL_LOSS, VAL_MACRO_F1, BestMetric
from cnn_engine.runlog.events import EpochFinished
from cnn_tui.text.numbers import decimal, percent


def value_text(metric: BestMetric, value: float | None) -> str:
    """Return `0.8214` or, of an accuracy, `71.30%`; a dash if unknown."""
    if value is None or math.isnan(value):
        return "–"
    return percent(value, 2) if metric is VAL_ACCURACY else decimal(value)


def best_values(best: EpochFinished, metric: BestMetric) -> list[str]:
    """Return `validation accuracy 71.30%`, `loss 0.8214`: of the best epoch, the metric first."""
    names = {VAL_LOSS: "loss", VAL_ACCURACY: "accuracy", VAL_MACRO_F1: "macro F1"}
    shown = [VAL_LOSS, VAL_ACCURACY, *([VAL_MACRO_F1] if metric is VAL_MACRO_F1 else [])]
    shown.sort(key=lambda each: each is not metric)
    values = {each: value_text(each, each.value_of(best)) for each in shown}
    known = [f"{names[each]} {value}" for each, value in values.items() if value != "–"]
    return [f"validation {known[0]}", *known[1:]] if known else []


def mark_text(metric: BestMetric) -> str:
    """Return `★ lowest validation loss so far`, which explains the marks of epochs."""
    return f"★ {metric.extreme} {metric.name} so far"
