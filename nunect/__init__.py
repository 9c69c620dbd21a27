"""Wiring only: settings, urls, ASGI, Celery, the supervisor and the `nunect` command."""
