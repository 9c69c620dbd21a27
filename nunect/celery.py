"""The Celery application; tasks are `@shared_task`, so no room imports this module."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nunect.settings")

app = Celery("nunect")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
