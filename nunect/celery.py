"""The Celery application; tasks are `@shared_task`, so no room imports this module."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_process_init, worker_ready

from nunect.supervisor import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nunect.settings")

app = Celery("nunect")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def look_at_the_tables(**kwargs: Any) -> None:
    """A worker of another version than the database would fail at every task."""
    from nunect import tables  # Django is not set up yet when this module is loaded

    tables.check_fit()


@worker_init.connect
def outlive_redis(**kwargs: Any) -> None:
    """A worker waits for a Redis that is gone."""
    from nunect import broker  # which only a worker needs

    broker.outlive()


@worker_ready.connect
def hush(**kwargs: Any) -> None:
    """A worker that waits says so in a line."""
    from nunect import broker

    broker.hush()


@worker_process_init.connect
def end_with_the_worker(**kwargs: Any) -> None:
    """The worker's own children end with it, also when it is killed."""
    die_with_parent()
