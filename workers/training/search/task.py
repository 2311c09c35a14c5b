"""Trials over Celery: any worker that sees the search's folder takes part.

A message names the folder alone. It is acknowledged when its trial has ended, so that the broker
gives the message of a worker that died to another one, which finds the dead trial and goes on
with it. A message too many finds nothing to do.
"""

from pathlib import Path

from celery import Celery, shared_task

from workers.training.search.study import open_study
from workers.training.search.trial import run_trial

NAME = "training.trial"


@shared_task(name=NAME, acks_late=True, reject_on_worker_lost=True, ignore_result=True)  # type: ignore[untyped-decorator]  # no stubs
def trial(folder: str) -> None:
    """Run one trial of the search in `folder`."""
    run_trial(Path(folder))


def ring(app: Celery, folder: Path) -> int:
    """Send a message for every trial of the search in `folder`; returns how many."""
    trials = open_study(folder).search.trials
    for _ in range(trials):
        app.send_task(NAME, (str(folder.resolve()),))
    return trials
