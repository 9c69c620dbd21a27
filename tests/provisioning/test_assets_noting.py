"""What a look writes down of rows that people have answered for."""

from django.db.models import QuerySet

from accounts_app.models import Consumer, Stream
from provisioning.jetstream.noting import Change, Notes, write
from tests import factories


def drift(seen):
    return [{"setting": "max_age", "wanted": 0, "seen": seen, "words": "It differs."}]


def looked(row, found):
    columns = {name: getattr(row, name) for name in ("pk", "wanted", "done", "drift")}
    write(
        Notes({Stream: [Change(columns, {"max_age": 5}, {}, found)], Consumer: []}, {Stream: [], Consumer: []}, [], [])
    )
    row.refresh_from_db()


def test_what_was_ignored_is_forgotten_once_it_is_another_difference(db):
    row = factories.settled(factories.stream(factories.account(jetstream=True)), drift=drift(5))
    QuerySet(Stream).filter(pk=row.pk).update(drift_ignored="told")
    row.refresh_from_db()
    looked(row, drift(5))
    assert row.drift_ignored == "told"
    looked(row, drift(6))
    assert (row.drift_ignored, row.state) == ("", "drifted")
