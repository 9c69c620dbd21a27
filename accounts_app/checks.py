"""System checks: what is missing, in a sentence."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register()
def secrets_are_set(**kwargs: Any) -> list[CheckMessage]:
    """Without its own secrets nunect can start, but nothing survives the process."""
    found: list[CheckMessage] = []
    if settings.SECRET_KEY_MISSING:
        found.append(
            Warning("SECRET_KEY is not set: sessions end with this process. `make up` makes one.", id="nunect.W001")
        )
    if not settings.NUNECT_ENCRYPTION_KEYS:
        found.append(
            Warning(
                "NUNECT_ENCRYPTION_KEYS is empty: nunect can't keep its own seeds. `make up` makes one.",
                id="nunect.W002",
            )
        )
    return found
