"""The process beside a product that fills its tables, makes tokens and counts: the saver with more commands."""

from __future__ import annotations

import secrets
import time

from benchmarks import saver  # it sets Django up

from django.contrib.auth import get_user_model  # isort: skip
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts_app import services
from accounts_app.api.pages import cursor_of
from accounts_app.models import Account, NatsUser, SubjectPermission, System, Token
from accounts_app.natsconf import nkeys

PERSON = "benchmark"


def fill(accounts: int, users: int) -> dict[str, int]:
    """Write that many rows past history and counters: the servers are never asked to follow."""
    system = System.objects.get()
    with transaction.atomic():
        homes = [Account(system=system, name=f"A{number:05}") for number in range(accounts)]
        QuerySet(Account).bulk_create(homes)
        each = users // accounts
        people = [
            NatsUser(
                system=system,
                account=home,
                name=f"{home.name}.u{number:05}",
                nkey=nkeys.encode_public("U", secrets.token_bytes(32)),
            )
            for number in range(each)  # accounts in turn, so that neither order is the order of the table
            for home in homes
        ]
        QuerySet(NatsUser).bulk_create(people)
        for start in range(0, len(people), 10_000):
            QuerySet(SubjectPermission).bulk_create(
                SubjectPermission(user=user, action=action, effect=effect, subject=f"{user.name}.{tail}")
                for user in people[start : start + 10_000]
                for action, effect, tail in RULES
            )
    return counts()


RULES = (("publish", "allow", "out.>"), ("subscribe", "allow", "in.>"), ("publish", "deny", "out.audit"))


def account(name: str) -> int:
    """An empty account."""
    return int(Account.objects.create(system=System.objects.get(), name=name).pk)


def token(superuser: bool, restricted: str = "") -> str:
    """A token of an administrator, or of somebody with Django permissions one by one.

    restricted: name of the only account that it reaches.
    """
    person, _ = get_user_model().objects.get_or_create(
        username=f"{PERSON}-{superuser}", defaults={"is_staff": True, "is_superuser": superuser}
    )
    if not superuser:
        person.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts_app"))
    made = Token(person=person, name="benchmark", scope="write", restricted=bool(restricted))
    bare = made.make()
    made.save()
    if restricted:
        made.accounts.set(Account.objects.filter(name=restricted))
    return bare


def cursor(order: str, column: str, number: int) -> str:
    """What a page that starts after the row of that number carries in its address."""
    down = "-" if order.startswith("-") else ""
    ordered = NatsUser.objects.order_by(*(down + each for each in dict.fromkeys((column, "pk"))))
    value, pk = ordered.values_list(column, "pk")[number - 1]
    return cursor_of(order, value, pk)


def queries(path: str, bare: str) -> int:
    """How many statements one GET takes, sign-in included. The second one counts: the first notes the use."""
    client, headers = Client(), {"authorization": f"Bearer {bare}", "host": "localhost"}
    client.get(path, headers=headers)
    with CaptureQueriesContext(connection) as seen:
        answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.content[:500]
    return len(seen)


def counts() -> dict[str, int]:
    """Rows, and rows of history: what a write adds to."""
    return {
        "users": NatsUser.objects.count(),
        "permissions": SubjectPermission.objects.count(),
        "history": NatsUser.history.count() + SubjectPermission.history.count() + Account.history.count(),
        "wanted": System.objects.get().wanted,
    }


def create(home: str, names: list[str]) -> float:
    """Seconds that `services.create_user` takes for all of these, an nkey each."""
    found = Account.objects.select_related("system").get(name=home)
    began = time.monotonic()
    for name in names:
        services.create_user(found, name)
    return time.monotonic() - began


def tried(home: str, count: int) -> float:
    """Seconds that `services.create_user` takes for one user, when nothing of it is kept and nobody follows."""
    with transaction.atomic():
        taken = create(home, [f"tried{number}" for number in range(count)])
        transaction.set_rollback(True)
    return taken / count


if __name__ == "__main__":
    saver.COMMANDS |= {act.__name__: act for act in (fill, account, token, cursor, queries, counts, create, tried)}
    saver.main()
