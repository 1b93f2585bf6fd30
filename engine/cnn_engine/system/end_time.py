"""The time at which a process that trains must have ended: a time limit, or the end of its job.

It is in the environment, so that processes in the background have it too, and not a part of a run's
config: a later session has another one.
"""

import math
import os
import time

END_TIME = "CNN_ENGINE_END_TIME"
"""Environment variable with a time limit, in seconds since 1970."""

JOB_END_TIME = "SLURM_JOB_END_TIME"
"""Environment variable with the end of a job, set by Slurm 22.05 and later."""


def set_time_limit(seconds: float) -> None:
    """Set a time limit for this process, and those that it starts, from now on."""
    os.environ[END_TIME] = str(math.ceil(time.time() + seconds))


def find_end_time() -> float | None:
    """Return the time at which this process must have ended, in seconds since 1970.

    None without a limit. The end of a job that has passed is that of an earlier one, as in a shell
    that has outlived it; see `has_passed_job`.
    """
    if limit := os.environ.get(END_TIME):
        return float(limit)
    end = _job_end()
    return end if end is not None and end > time.time() else None


def has_passed_job() -> bool:
    """Return True if the end of a job is in the environment, but has passed."""
    end = _job_end()
    return end is not None and end <= time.time() and not os.environ.get(END_TIME)


def _job_end() -> float | None:
    """Return the end of the job that is in the environment; None if there is none."""
    end = os.environ.get(JOB_END_TIME, "")
    return float(end) if end.isdecimal() else None
