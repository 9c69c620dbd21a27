"""What a browser sends of a stream or consumer, and rows as the servers hold them."""

from django.db.models import QuerySet
from django.utils import timezone

from accounts_app.jetstream.differences import differences
from accounts_app.jetstream.wire import to_server
from accounts_app.models import Stream
from tests import factories

STREAMS, CONSUMERS = "/admin/accounts_app/stream/", "/admin/accounts_app/consumer/"
DAY_NS = 86_400 * 10**9
CHOSEN = {"storage": "file", "compression": "none", "deletion": "keep"}  # what a browser sends of what has a choice
OF_STREAM = {**CHOSEN, "retention": "limits", "discard": "old"}
OF_CONSUMER = {"ack_policy": "explicit", "deliver_policy": "all", "replay_policy": "instant", "deletion": "keep"}


def errors(answer):
    assert answer.status_code == 200, answer.status_code
    return dict(answer.context["adminform"].form.errors)


def add(page, of, **said):
    return page.post(f"{STREAMS}add/", {"account": of.pk, "name": "ORDERS", **OF_STREAM, **said})


def seen(row, **there):
    """The servers hold it, and perhaps something else than the row says."""
    kind = row.settings_kind
    config = {**to_server(kind, row.name, row.config), **there}
    drift = [each.as_dict() for each in differences(kind, row.config, config)] if there else []
    return factories.settled(row, seen=config, seen_at=timezone.now(), drift=drift)


def address(row, view="change"):
    return f"/admin/accounts_app/{row._meta.model_name}/{row.pk}/{view}/"


def form_of(page, row):
    """{name: value} as a browser would send the page's form back."""
    form = page.get(address(row)).context["adminform"].form
    found = {}
    for bound in form:
        value = bound.value()
        if isinstance(value, bool):
            found |= {bound.name: "on"} if value else {}
        elif isinstance(value, str):
            found[bound.name] = value
    return found


def observed(of, name="LEGACY"):
    row = seen(factories.stream(of, name, subjects=["old.>"], storage="memory"))
    QuerySet(Stream).filter(pk=row.pk).update(managed=False, config={})
    row.refresh_from_db()
    return row
