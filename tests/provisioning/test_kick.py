"""A person closes a connection: a real one, and only one that they may see."""

import time

import pytest

from accounts_app.models import AuditEntry
from monitoring import store
from monitoring.tables import TABLES, Table
from provisioning.server import Fleet
from tests import factories
from tests.api.conftest import Api, errors, token_of
from tests.monitoring.line import Line

pytestmark = pytest.mark.usefixtures("valkey")


class Guest(Line):
    """A client that subscribes to a.b and stays until somebody ends it."""

    def __init__(self, port, user):
        super().__init__(port, user, name=f"{user}-app")
        self.say("SUB a.b 1", "PING")
        assert (self.read(), self.read()) == ("PONG", "PONG")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture
def place(world, settings):
    """The world with a user of ACME and one of SHOP, and the id of its server."""
    settings.NATS_CONNECT_TIMEOUT = settings.NATS_REQUEST_TIMEOUT = settings.NATS_RELOAD_TIMEOUT = 20.0
    world.user(world.account("ACME"), "svc", "subscribe a.>")
    world.user(world.account("SHOP"), "clerk", "subscribe a.>")
    world.apply()
    with Fleet(world.system) as fleet:
        world.server_id = fleet.see(1)[0].server_id
    return world


@pytest.fixture
def ada(place):
    return factories.admin()


@pytest.fixture
def api(ada):
    return Api(token_of(ada))


def reason_of(world, cid, deadline_s=30):
    """Why the server closed a connection, in its own words."""
    end = time.monotonic() + deadline_s
    with Fleet(world.system) as fleet:
        while time.monotonic() < end:
            ask = fleet._ask(f"$SYS.REQ.SERVER.{world.server_id}.CONNZ", {"state": 1, "cid": cid})
            found = fleet._runner.run(ask)["data"]["connections"]
            if found:
                return found[0]["reason"]
            time.sleep(0.02)
    return None


def test_a_connection_tells_what_it_subscribes_to_now(place, api, settings, tmp_path):
    with Guest(place.port, "svc") as guest:
        told = api.get(f"live/connections/{place.server_id}/{guest.cid}/")
        assert told.status_code == 200, told.data
        row = told.data
        assert row["subscriptions_list"] == ["a.b"] and row["subscriptions"] == 1
        assert (row["account"], row["user"], row["app"], row["server"]) == ("ACME", "svc", "svc-app", "n1")
        assert row["address"] == "127.0.0.1" and row["kind"] == "nats" and row["own"] is False
        assert row["user_pk"] and row["idle_s"] >= 0 and row["in_msgs_rate"] is None
        seen = {"server_id": place.server_id, "cid": guest.cid, "user": "svc", "in_msgs_rate": 2.5, "subscriptions": 9}
        with store.client().pipeline() as pipe:
            rows = [[seen.get(column) for column in TABLES["connections"]]]
            store.put_table(pipe, place.system.pk, Table("connections", rows))
            pipe.execute()
        row = api.get(f"live/connections/{place.server_id}/{guest.cid}/").data
        assert (row["in_msgs_rate"], row["subscriptions"]) == (2.5, 1)  # rates are the relay's, the rest is asked
        settings.REDIS_URL = f"unix://{tmp_path}/nobody"
        assert api.get(f"live/connections/{place.server_id}/{guest.cid}/").data["subscriptions_list"] == ["a.b"]
    assert api.get(f"live/connections/{place.server_id}/{guest.cid + 1000}/").status_code == 404
    assert api.get(f"live/connections/N{'A' * 55}/{guest.cid}/").status_code == 404
    assert api.get(f"live/connections/>/{guest.cid}/").status_code == 404


def test_who_is_kicked_is_out_and_it_is_written_down(place, api):
    with Guest(place.port, "svc") as guest:
        body = {"server_id": place.server_id, "cid": guest.cid}
        tried = api.post("live/connections/kick/?dry_run=true", body)
        assert tried.status_code == 200 and tried.data["closed"] is False
        assert tried.data["connection"]["app"] == "svc-app"
        assert not guest.is_out(0.01) and not AuditEntry.objects.filter(act="connection kicked").exists()
        done = api.post("live/connections/kick/", body)
        assert done.status_code == 200 and done.data["closed"] is True, done.data
        assert guest.is_out()
        assert reason_of(place, guest.cid) == "Kicked"
        entry = AuditEntry.objects.get(act="connection kicked")
        assert entry.person_name == "ada" and entry.object_type == "natsuser" and entry.object_name == "svc"
        told = {name: entry.detail[name] for name in ("app", "user", "account", "address")}
        assert told == {"app": "svc-app", "user": "svc", "account": "ACME", "address": "127.0.0.1"}
        assert api.post("live/connections/kick/", body).status_code == 404


def test_nobody_kicks_without_the_right_or_beyond_their_accounts(place, ada):
    with Guest(place.port, "svc") as guest:
        body = {"server_id": place.server_id, "cid": guest.cid}
        shop = Api(token_of(ada, "write", accounts=["SHOP"]))
        looks = Api(token_of(factories.staff("looks", "accounts_app.view_natsuser")))
        reads = Api(token_of(ada, "read"))
        assert shop.post("live/connections/kick/", body).status_code == 404
        assert shop.post("live/connections/kick/?dry_run=true", body).status_code == 404
        assert shop.get(f"live/connections/{place.server_id}/{guest.cid}/").status_code == 404
        assert looks.post("live/connections/kick/", body).status_code == 403
        assert reads.post("live/connections/kick/", body).status_code == 403
        assert reads.post("live/connections/kick/?dry_run=true", body).status_code == 200
        assert Api().post("live/connections/kick/", body).status_code == 401
        assert not AuditEntry.objects.filter(act="connection kicked").exists()
        acme = Api(token_of(ada, "write", accounts=["ACME"]))
        assert acme.get(f"live/connections/{place.server_id}/{guest.cid}/").status_code == 200
        assert not guest.is_out(0.01)
        assert acme.post("live/connections/kick/", body).status_code == 200
        assert guest.is_out()


def test_nunect_does_not_kick_itself(place, api):
    with Fleet(place.system) as own:
        body = {"server_id": place.server_id, "cid": own._client.client_id}
        answer = api.post("live/connections/kick/", body)
        assert answer.status_code == 409
        assert errors(answer)[""] == "This is nunect's own connection: it would only come back."
        assert own.see(1)


def test_a_server_that_is_silent_is_told_in_a_sentence(place, api, settings):
    place.stop()
    settings.NATS_CONNECT_TIMEOUT = 0.2
    for answer in (
        api.post("live/connections/kick/", {"server_id": place.server_id, "cid": 5}),
        api.get(f"live/connections/{place.server_id}/5/"),
    ):
        assert answer.status_code == 503
        assert errors(answer)[""] == "The server doesn't answer now: try again."


@pytest.mark.parametrize(
    "body, field",
    [
        ({"cid": 5}, "server_id"),
        ({"server_id": "N", "cid": "5"}, "cid"),
        ({"server_id": "N", "cid": -1}, "cid"),
        ({"server_id": "N", "cid": 5, "more": 1}, "more"),
    ],
)
def test_a_kick_that_makes_no_sense_is_told_at_its_field(db, body, field):
    factories.system()
    answer = Api(token_of(factories.admin())).post("live/connections/kick/", body)
    assert answer.status_code == 422
    assert list(errors(answer)) == [field]
