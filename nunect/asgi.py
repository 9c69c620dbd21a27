"""ASGI entry: HTTP by Django, websockets by monitoring.routing."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nunect.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # before anything that reads models

from channels.routing import ProtocolTypeRouter  # noqa: E402

from monitoring.routing import websockets  # noqa: E402
from nunect import tables  # noqa: E402

tables.check_fit()

application = ProtocolTypeRouter({"http": http, "websocket": websockets})
