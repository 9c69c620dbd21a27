"""What changed before it broke is one question."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts_app.models import Account
from monitoring import archive
from monitoring.events import Event
from monitoring.models import ArchivedEvent
from provisioning.models import Revision, RevisionBlock
from tests import factories
from tests.api.conftest import Api, errors, token_of

EVENTS = "live/events/"
START = datetime(2027, 1, 31, 12, tzinfo=UTC)


def at(minutes):
    return (START + timedelta(minutes=minutes)).timestamp()


def change(account, text):
    return {"account": account, "text": text, "removes_access": False}


def revision(number, minute, *changes, begun_s=0.0):
    """A revision that was recorded at a minute; begun_s: seconds before, when its rows were read."""
    system = factories.system()
    recorded = START + timedelta(minutes=minute)
    row = Revision.objects.create(
        system=system, number=number, sha256="a", text_sha256="b", renderer=1, wanted=1, changes=list(changes)
    )
    Revision.objects.filter(pk=row.pk).update(created_at=recorded, snapshot_at=recorded - timedelta(seconds=begun_s))
    accounts = {each["account"] for each in changes}
    RevisionBlock.objects.bulk_create(
        RevisionBlock(system=system, revision=row, account=name, current=False) for name in accounts
    )
    ArchivedEvent.objects.filter(key__startswith=f"revision:{number}:").update(at=recorded)
    return row


def happened(minute, kind="connect", account="ACME", **fields):
    pk = Account.objects.filter(name=account).values_list("pk", flat=True).first()
    number = ArchivedEvent.objects.count()
    fields.setdefault("id", f"N1:{number}:{kind}")
    fields.setdefault("text", f"Number {number}.")
    fields.setdefault("account_pk", pk)
    told = Event(at=at(minute), kind=kind, account=account, **fields)
    archive.keep_now(factories.system().pk, [told])
    return told


def asked(api, question="", **headers):
    answer = api.get(f"{EVENTS}?{question}", **headers)
    assert answer.status_code == 200, answer.data
    return answer.data["results"]


@pytest.fixture
def shop(acme):
    return factories.account("SHOP")


@pytest.fixture
def story(acme, shop):
    revision(1, 0, change("ACME", "account `ACME` is added"), change("SHOP", "account `SHOP` is added"))
    revision(2, 10, change("ACME", "user `svc` of account `ACME` may no longer publish `orders.>`"))
    revision(3, 20, change("SHOP", "account `SHOP` has other limits"))


def test_an_event_is_what_was_kept(api, acme):
    told = happened(
        1, "auth_error", level="error", server="n1", user="svc", user_pk=3, owner="ada", app="orders-api",
        address="10.0.0.17", cid=41, reason="Authentication Failure", revision=7, detail={"code": "disabled"},
    )  # fmt: skip
    assert asked(api) == [{**told.as_dict(), "preceded_by": None}]


def test_the_change_of_its_account_before_it_is_told(api, story):
    for minute in (5, 15, 25):
        happened(minute, "disconnect")
    found = asked(api, "kind=disconnect&ordering=at")
    assert [each["preceded_by"] and each["preceded_by"]["number"] for each in found] == [1, 2, 2]
    assert found[1]["preceded_by"] == {
        "number": 2,
        "at": "2027-01-31T12:10:00.000Z",
        "text": "user `svc` of account `ACME` may no longer publish `orders.>`.",
    }
    assert found[0]["preceded_by"]["text"] == "account `ACME` is added."


def test_what_belongs_to_no_account_follows_any_change(api, story):
    happened(25, "auth_error", account="", user="nobody")
    assert asked(api, "kind=auth_error")[0]["preceded_by"]["number"] == 3


def test_what_a_change_does_while_it_is_enforced_follows_it(api, acme):
    revision(1, 0, change("ACME", "account `ACME` is added"))
    revision(2, 10, change("ACME", "user `svc` is removed"), begun_s=6)
    happened(9.95, "disconnect")  # three seconds before the revision was recorded
    happened(9.85, "disconnect")  # before its rows were read
    happened(9.85, "disconnect", revision=2)  # by the server's clock, which is late; it ran the revision
    found = asked(api, "kind=disconnect&ordering=at")
    assert sorted(each["preceded_by"]["number"] for each in found) == [1, 2, 2]
    assert found[-1]["preceded_by"]["number"] == 2


def test_a_revision_is_preceded_by_the_one_before_of_the_account(api, story):
    found = {each["revision"]: each for each in asked(api, "kind=revision&account=ACME")}
    assert found[2]["preceded_by"]["number"] == 1
    assert found[1]["preceded_by"] is None
    assert found[2]["text"] == (
        "Revision 2 by nunect itself: user `svc` of account `ACME` may no longer publish `orders.>`."
    )


def test_a_page_asks_six_times_at_most(api, story):
    key = "UBEXAMPLE2K4ZB7GQH5VXWPYD3NRJ6SLMCFATIOEUHGWQZKXVBNMY2AB"
    revision(4, 30, change("ACME", f"user `{key}` of account `ACME` is added"))
    for number in range(60):
        happened(31 + number, account=("ACME", "SHOP", "")[number % 3])
    counts = []
    for limit in (1, 500):
        asked(api, f"limit={limit}")  # the first use of a token is written down
        with CaptureQueriesContext(connection) as queries:
            asked(api, f"limit={limit}")
        counts.append(len(queries))
    assert max(counts) <= 6, [query["sql"][:150] for query in queries]


@pytest.mark.parametrize(
    "question, minutes",
    [
        ("kind=auth_error", [2]),
        ("account=SHOP", [3]),
        ("user=svc", [1, 2]),
        ("server=n2", [3]),
        ("level=error", [2]),
        ("revision=7", [1]),
        ("search=numeration", [2]),
        ("search=10.9.9.9", [3]),
        ("since=2027-01-31T12:02:00Z", [2, 3]),
        ("until=2027-01-31T12:02:00Z", [1]),
        ("since=2027-01-31T14:02:00%2B02:00&until=2027-01-31T12:03:00Z", [2]),
        ("system=default&user=svc&kind=connect", [1]),
        ("system=other", []),
    ],
)
def test_events_are_found_by(api, acme, shop, question, minutes):
    happened(1, user="svc", server="n1", revision=7)
    happened(2, "auth_error", user="svc", level="error", text="A numeration of something.", server="n1")
    happened(3, account="SHOP", server="n2", address="10.9.9.9")
    found = [datetime.fromisoformat(each["at"]).minute for each in asked(api, f"{question}&ordering=at")]
    assert found == minutes


def test_pages_hold_every_event_once_and_newest_first(api, acme):
    for number in range(25):
        happened(number // 3)  # some at the same moment
    path, seen = f"{EVENTS}?limit=4", []
    while path:
        answer = api.get(path)
        seen += answer.data["results"]
        path = answer.data["next"]
    assert len({each["id"] for each in seen}) == len(seen) == 25
    assert [each["at"] for each in seen] == sorted((each["at"] for each in seen), reverse=True)


def test_events_come_as_csv(api, story):
    happened(15, app="=1+1")
    answer = api.get(f"{EVENTS}?kind=connect", Accept="text/csv")
    row = next(iter(csv.DictReader(io.StringIO(answer.content.decode()))))
    assert (row["account"], row["app"]) == ("ACME", "'=1+1")
    assert json.loads(row["preceded_by"])["number"] == 2


@pytest.mark.parametrize(
    "question, field",
    [
        ("kinds=connect", "kinds"),
        ("kind=hello", "kind"),
        ("level=loud", "level"),
        ("since=yesterday", "since"),
        ("until=2027-13-01", "until"),
        ("revision=x", "revision"),
        ("ordering=text", "ordering"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("user=a&user=b", "user"),
        ("account=", "account"),
        ("fields=nothing", "fields"),
    ],
)
def test_what_is_asked_wrongly_is_said_at_its_name(api, acme, question, field):
    happened(1)
    answer = api.get(f"{EVENTS}?{question}")
    assert answer.status_code == 422
    assert field in errors(answer)


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "1000-01-01T00:00:00Z"])
def test_times_at_the_end_of_the_world_are_times(api, acme, when):
    happened(1)
    assert api.get(f"{EVENTS}?since={when}").status_code == 200
    assert api.get(f"{EVENTS}?until={when}").status_code == 200


# --- who may ask ---------------------------------------------------------------------


def test_the_right_is_that_to_users(acme):
    happened(1)
    assert Api(token_of(factories.staff("sam"))).get(EVENTS).status_code == 403
    eve = Api(token_of(factories.staff("eve", "accounts_app.view_natsuser"), scope="read"))
    assert len(asked(eve)) == 1
    assert Api().get(EVENTS).status_code == 401
    assert eve.post(EVENTS, {}).status_code == 405


def test_who_is_kept_to_an_account_sees_what_happened_there_only(ada, acme, shop):
    revision(1, 0, change("ACME", "account `ACME` is added"), change("SHOP", "account `SHOP` has a secret"))
    mine = happened(1, user="svc")
    happened(2, account="SHOP")
    happened(3, "auth_error", account="", user="nobody")
    happened(4, "server", account="")
    happened(5, account="ACME", account_pk=acme.pk + 1000)  # an account of that name that is gone
    narrow = Api(token_of(ada, accounts=["ACME"]))
    found = asked(narrow)
    assert {each["id"] for each in found} == {mine.id, "revision:1:ACME"}
    assert "SHOP" not in json.dumps(found)
    assert found[0]["preceded_by"]["text"] == "account `ACME` is added."
    assert asked(narrow, "account=SHOP") == []
    assert asked(narrow, "search=nobody") == []
