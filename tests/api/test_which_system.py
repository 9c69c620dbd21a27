"""Where there are several systems: which one is meant, and how one is told to say it."""

import pytest

from accounts_app.models import Account, Role, System
from accounts_app.systems import new_system
from tests import factories
from tests.api.conftest import Api, token_of

WHICH = "There are several systems: say which one by “system”: default, shop."
ROWS = (
    ("accounts/", {"name": "NEW"}),
    ("roles/", {"name": "new"}),
    ("apply/", {"accounts": [{"name": "NEW"}]}),
    ("import/", {"conf": "accounts: { NEW: { users: [{user: new, nkey: UAAA}] } }"}),
)
TABLE = pytest.mark.parametrize(("path", "body"), ROWS, ids=[path for path, _ in ROWS])


@pytest.fixture
def shop(api):
    return new_system("shop", stage=System.Stage.OBSERVED)


def to(shop, stage):
    System.objects.filter(pk=shop.pk).update(stage=stage)


@TABLE
@pytest.mark.parametrize("stage", ["observed", "managed"])
def test_rows_of_an_observed_system_can_be_made_so_none_of_two_is_meant(api, shop, path, body, stage):
    to(shop, stage)
    answer = api.post(path, body)
    assert answer.status_code == 409
    assert answer.data["errors"] == [{"field": "system", "detail": WHICH}]


@TABLE
def test_rows_of_a_released_system_are_never_meant(api, shop, path, body):
    to(shop, "released")
    told = api.post(f"{path}?dry_run=true", body)
    assert told.status_code == 200 or "system" not in str(told.data["errors"])
    if path != "import/":
        assert api.post(path, body).status_code in (200, 201)
        assert {row.system.name for row in (*Account.objects.filter(name="NEW"), *Role.objects.all())} == {"default"}


@pytest.mark.parametrize("stage", ["observed", "released"])
def test_jobs_are_for_the_only_managed_system(api, shop, stage):
    to(shop, stage)
    path = "blueprints/work-queue/provision/?dry_run=true"
    told = api.post(path, {"parameters": {}})
    assert told.status_code == 422 and {each["field"].split(".")[0] for each in told.data["errors"]} == {"parameters"}
    to(shop, "managed")
    assert api.post(path, {"parameters": {}}).data["detail"] == WHICH


def test_a_kick_is_for_the_only_managed_system(api, shop, settings):
    settings.NATS_CONNECT_TIMEOUT = 0.2
    asked = {"server_id": "N" + "A" * 55, "cid": 7}
    assert api.post("live/connections/kick/", asked).status_code == 503, "it asks the servers of the managed one"
    to(shop, "managed")
    assert api.post("live/connections/kick/", asked).data["detail"] == WHICH


def test_what_is_read_is_of_the_system_that_is_named(api, shop):
    to(shop, "released")
    answer = api.get("apply/")
    assert (answer.status_code, answer.data["detail"]) == (409, WHICH)
    assert api.get("apply/?system=shop").data["system"] == "shop"


def test_who_may_not_see_systems_is_told_no_names(api, shop):
    sam = factories.staff("sam", "accounts_app.add_account", "accounts_app.view_account")
    answer = Api(token_of(sam)).post("accounts/", {"name": "NEW"})
    assert answer.data["detail"] == "There are several systems: say which one by “system”."


def test_an_account_is_made_with_a_shared_role_of_the_system_that_is_named(api, shop):
    Role.objects.create(system=shop, name="reader")
    made = api.post("accounts/", {"name": "NEW", "system": "shop", "default_role": "*/reader"})
    assert (made.status_code, made.data["default_role"]) == (201, "*/reader"), made.data


# --- names that stand in several systems ------------------------------------------


@pytest.fixture
def twice(api, shop):
    """Two accounts in each of two systems, which are called the same."""
    found = {}
    for system in (factories.system(), shop):
        found[system.name] = factories.account("ACME", system=system, jetstream=True)
        other = factories.account("READER", system=system)
        other.exports.create(kind="stream", subject="a.>", public=True)
        factories.user(found[system.name], "svc", "publish a.>")
        factories.role(found[system.name], "worker")
    return found


NAMED = (
    ("users/", {"account": "ACME", "name": "new"}),
    ("roles/", {"account": "ACME", "name": "new"}),
    ("permissions/", {"user": "svc", "action": "publish", "subject": "new.>"}),
    ("permissions/", {"account": "ACME", "role": "worker", "action": "publish", "subject": "new.>"}),
    ("exports/", {"account": "ACME", "kind": "stream", "subject": "new.>"}),
    ("imports/", {"account": "ACME", "from_account": "READER", "kind": "stream", "subject": "a.>"}),
    ("mappings/", {"account": "ACME", "source": "new", "destinations": [{"subject": "other"}]}),
    ("streams/", {"account": "ACME", "name": "NEW", "subjects": ["new.>"]}),
)


@pytest.mark.parametrize(("path", "body"), NAMED, ids=[f"{path}{'role' in body}" for path, body in NAMED])
def test_a_name_of_several_systems_is_never_guessed(api, twice, path, body):
    answer = api.post(path, body)
    assert (answer.status_code, answer.data["errors"]) == (409, [{"field": "system", "detail": WHICH}])
    made = api.post(path, {**body, "system": "shop"})
    assert (made.status_code, made.data["system"]) == (201, "shop"), made.data
    listed = api.get(f"{path}?system=shop").data["results"]
    assert made.data["id"] in {row["id"] for row in listed} and {row["system"] for row in listed} == {"shop"}
    back = {name: value for name, value in made.data.items() if name not in ("secret", "sync", "role", "user")}
    for sent in (back, {name: value for name, value in back.items() if name != "system"}):
        if not path.startswith("streams"):  # the row that is changed says where its names are meant
            changed = api.patch(f"{path}{made.data['id']}/", sent)
            assert changed.status_code == 200, changed.data


def test_a_name_of_a_released_system_is_in_nobodys_way(api, twice, shop):
    to(shop, "released")
    made = api.post("users/", {"account": "ACME", "name": "new"})
    assert (made.status_code, made.data["system"]) == (201, "default")


def test_a_row_stays_in_its_system(api, shop):
    account = factories.account("ACME")
    for path in (f"accounts/{account.pk}/", f"users/{factories.user(account).pk}/"):
        answer = api.patch(path, {"system": "shop"})
        assert answer.status_code == 422
        assert answer.data["errors"] == [{"field": "system", "detail": "This can't move to another system."}]
        assert api.patch(path, {"system": "default"}).status_code == 200
