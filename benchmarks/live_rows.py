"""Fills an empty database with who watches: prints the system's identity and the keys of sessions, as JSON."""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nunect.settings")

import django

django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model  # noqa: E402
from django.contrib.auth.models import Group, Permission  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.utils.crypto import get_random_string  # noqa: E402

from provisioning.bootstrap import ensure_system  # noqa: E402

RIGHTS = ("view_server", "view_natsuser", "view_account", "view_revision")


def main(people: int, sessions: int) -> None:
    """That many people of one group, and sessions of them in turn."""
    system = ensure_system()
    user = get_user_model()
    staff = user.objects.bulk_create(
        user(username=f"p{number}", is_staff=True, password="!none") for number in range(people)
    )
    watchers = Group.objects.create(name="watchers")
    watchers.permissions.set(Permission.objects.filter(codename__in=RIGHTS))
    watchers.user_set.set(staff)
    backend, ends, store = (
        "django.contrib.auth.backends.ModelBackend",
        timezone.now() + timedelta(days=1),
        SessionStore(),
    )
    rows = []
    for number in range(sessions):
        person = staff[number % people]
        held = {SESSION_KEY: str(person.pk), BACKEND_SESSION_KEY: backend}
        held[HASH_SESSION_KEY] = person.get_session_auth_hash()
        rows.append(
            Session(session_key=get_random_string(32).lower(), session_data=store.encode(held), expire_date=ends)
        )
    Session.objects.bulk_create(rows, batch_size=500)
    told = {"system": system.pk, "relay": system.relay_nkey, "control": system.control_nkey}
    print(json.dumps({**told, "sessions": [row.session_key for row in rows]}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
