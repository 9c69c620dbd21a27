"""A task that is under way for as long as a file is there."""

import logging
import time
from pathlib import Path

from celery import shared_task

logger = logging.getLogger(__name__)


@shared_task(name="tests.slow", acks_late=True)
def slow(path):
    logger.warning("slow begins")
    while Path(path).exists():
        time.sleep(0.02)
    logger.warning("slow ends")
