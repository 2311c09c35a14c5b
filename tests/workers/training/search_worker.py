"""A Celery application for workers that tests start."""

import os

from celery import Celery

from workers.training.search import task

app = Celery("tests", broker=os.environ["DRAGOMAN_TEST_BROKER_URL"])
app.conf.task_default_queue = os.environ["DRAGOMAN_TEST_QUEUE"]
app.conf.worker_prefetch_multiplier = 1
# Registers it.
trial = task.trial
