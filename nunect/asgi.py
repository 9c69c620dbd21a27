"""ASGI entry: HTTP by Django, websockets by Channels (none yet; Live brings them)."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nunect.settings")

from django.core.asgi import get_asgi_application

application = get_asgi_application()
