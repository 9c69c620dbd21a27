"""Rows that look like somebody's real system: for tests, and for the pictures in the docs."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from accounts_app import credentials
from accounts_app.models import (
    Account,
    Consumer,
    Export,
    ExportAccess,
    Import,
    Mapping,
    MappingDestination,
    NatsUser,
    Role,
    Stream,
    SubjectPermission,
    System,
)
from provisioning.bootstrap import ensure_system

PASSWORD = "correct-horse-battery"
NAMES = ("orders", "billing", "telemetry", "fleet", "checkout", "identity", "search", "ledger", "notify", "reports")
DOES = ("api", "worker", "sync", "gateway", "export", "audit", "cron", "edge", "cache", "relay")


def system() -> System:
    return ensure_system()


def admin(name="ada"):
    found, made = get_user_model().objects.get_or_create(
        username=name, defaults={"is_staff": True, "is_superuser": True, "email": f"{name}@example.org"}
    )
    if made:
        found.set_password(PASSWORD)
        found.save()
    return found


def staff(name="sam", *permissions):
    """A person of the staff with just these permissions ("app.codename")."""
    from django.contrib.auth.models import Permission

    person = get_user_model().objects.create_user(name, password=PASSWORD, is_staff=True)
    for permission in permissions:
        app, codename = permission.split(".")
        person.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return person


def account(name="ORDERS", **fields):
    fields.setdefault("system", system())
    return Account.objects.create(name=name, **fields)


def role(of, name="worker", *rules, **fields):
    made = Role.objects.create(account=of, name=name, system=of.system, **fields)
    rules_of(made, "role", rules)
    return made


def user(of, name="svc", *rules, **fields):
    if fields.get("credential", "nkey") == "nkey":
        fields.setdefault("nkey", credentials.new_nkey()[0])
    made = NatsUser.objects.create(account=of, name=name, **fields)
    rules_of(made, "user", rules)
    return made


def rules_of(owner, kind, rules):
    """rules: "publish orders.>", "deny publish orders.secret" or "subscribe jobs.* workers"."""
    for text in rules:
        effect, _, rest = text.partition(" ") if text.startswith(("allow ", "deny ")) else ("allow", "", text)
        action, subject, *queue = rest.split()
        SubjectPermission.objects.create(
            **{kind: owner}, effect=effect, action=action, subject=subject, queue=queue[0] if queue else ""
        )


def demo(users=5000, names=NAMES):
    """Accounts with roles, sharing and `users` users; the last accounts are the large ones."""
    ada = admin()
    accounts = []
    for number, name in enumerate(names):
        made = account(
            name.upper(),
            owner=ada if number % 3 == 0 else None,
            description=f"Everything about {name}",
            jetstream=number % 2 == 0,
            jetstream_max_file=(1 + number) * 256 * 1024**2 if number % 2 == 0 else None,
            max_connections=500 * (number + 1),
        )
        role(made, "service", f"publish {name}.>", f"subscribe {name}.> workers", f"deny publish {name}.admin.>")
        role(made, "reader", f"subscribe {name}.events.>", "subscribe _INBOX.{{name()}}.>", allow_responses=True)
        accounts.append(made)
    for number, made in enumerate(accounts):
        other = accounts[(number + 1) % len(accounts)]
        name = names[number]
        shared = Export.objects.create(account=made, kind="stream", subject=f"{name}.events.>")
        ExportAccess.objects.create(export=shared, account=other)
        Export.objects.create(account=made, kind="service", subject=f"{name}.lookup", public=True)
        Import.objects.create(
            account=other, kind="stream", from_account=made, subject=f"{name}.events.>", prefix="partners"
        )
        moved = Mapping.objects.create(account=made, source=f"{name}.v1.*")
        MappingDestination.objects.create(mapping=moved, subject=f"{name}.v2.$1", weight=90)
        MappingDestination.objects.create(mapping=moved, subject=f"{name}.canary.$1", weight=10)
    _many(accounts, users)
    known = user(
        accounts[0],
        "orders-checkout",
        "publish orders.created",
        "publish orders.cancelled",
        "deny publish orders.admin.>",
        "subscribe orders.events.> checkout",
        "subscribe _INBOX.>",
        owner=ada,
        description="The shop's checkout",
        allow_responses=True,
        connection_types=["STANDARD", "WEBSOCKET"],
    )
    return accounts, known


def _many(accounts, count):
    rows, roles = [], {(one.account_id, one.name): one for one in Role.objects.all()}
    for number in range(count):
        of = accounts[min(int((number / count) ** 2 * len(accounts)), len(accounts) - 1)]
        name = f"{of.name.lower()}-{DOES[number % len(DOES)]}-{number:05d}"
        with_password = number % 17 == 0
        rows.append(
            NatsUser(
                account=of,
                system_id=of.system_id,
                name=name,
                credential="password" if with_password else "nkey",
                password_hash="$2a$04$" + f"{number:053d}" if with_password else "",
                nkey="" if with_password else credentials.new_nkey()[0],
                access="role",
                role=roles[of.pk, "service" if number % 3 else "reader"],
                enabled=number % 41 != 0,
            )
        )
    NatsUser.objects.bulk_create(rows, batch_size=500)


def stream(of, name="ORDERS", kind="stream", *, seen=None, counts=None, managed=True, **config):
    """A row of a stream or bucket, by the server's name of it."""
    if kind == "stream" and managed:
        config.setdefault("subjects", [f"{name.lower()}.>"])
    made = Stream(account=of, name=name, kind=kind, config=config, managed=managed)
    made.seen, made.counts = seen, counts or {}
    made.save()
    return made


def consumer(of, name="worker", *, seen=None, counts=None, managed=True, **config):
    made = Consumer(stream=of, name=name, config=config, managed=managed)
    made.seen, made.counts = seen, counts or {}
    made.save()
    return made


def settled(row, **more):
    """The servers hold what the row says. more: columns that a look at them writes."""
    row.refresh_from_db()
    QuerySet(type(row)).filter(pk=row.pk).update(done=row.wanted, **more)
    row.refresh_from_db()
    return row
