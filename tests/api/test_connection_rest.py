"""Adding servers that nunect didn't start, and trying the way to them, over REST."""

from accounts_app.models import Account, AuditEntry, System
from tests import factories
from tests.api.conftest import Api, token_of
from tests.provisioning.certificates import Authority

SECRET = "correct-horse-battery"


def test_a_system_is_added_observed_and_its_secrets_are_never_told(api, tmp_path):
    certificate, key = (pem.strip() for pem in Authority().sign("nunect"))
    given = {
        "name": "edge", "conf_dir": str(tmp_path), "nats_url": "tls://nobody.invalid:4222",
        "tls_certificate": certificate, "tls_key": key, "login_user": "ops", "login_secret": SECRET,
    }  # fmt: skip
    tried = api.post("systems/?dry_run=true", given)
    assert (tried.status_code, System.objects.count()) == (200, 1), tried.data
    made = api.post("systems/", given)
    assert made.status_code == 201, made.data
    assert (made.data["stage"], made.data["login_user"]) == ("observed", "ops")
    assert made.data["tls_certificate"] == certificate
    row = System.objects.get(name="edge")
    assert (row.login_secret, row.tls_key) == (SECRET, key)
    assert set(Account.objects.filter(system=row).values_list("name", flat=True)) == {"$SYS", "$NUNECT"}
    entry = AuditEntry.objects.get(act="system added")
    assert (entry.door, entry.person.username) == ("rest", "ada")
    told = api.get(f"systems/{row.pk}/connection/")
    assert (told.status_code, told.data["ok"]) == (200, False)
    assert "is no name that this machine knows" in told.data["servers"][0]["steps"][0]["text"]
    for shown in (made, told, api.get("systems/"), api.get(f"systems/{row.pk}/history/")):
        assert SECRET not in str(shown.data) and "PRIVATE KEY" not in str(shown.data)
    assert SECRET not in str(list(System.history.values()))


def failed(answer):
    """(step, text) of the first server's step that failed."""
    assert answer.status_code == 200, answer.data
    return next((one["name"], one["text"]) for one in answer.data["servers"][0]["steps"] if one["state"] == "failed")


def test_servers_are_tried_before_there_is_a_system(api):
    told = api.post(
        "systems/connection/", {"nats_url": "nats://nobody.invalid", "login_user": "ops", "login_secret": SECRET}
    )
    assert failed(told)[0] == "name"
    assert System.objects.count() == 1
    entry = AuditEntry.objects.get(act="connection tried")
    assert (entry.door, entry.object_type, entry.detail["url"]) == ("rest", "", "nats://nobody.invalid")
    for given, field in (
        ({}, "nats_url"),
        ({"nats_url": "nats://ops:secret@127.0.0.1"}, "nats_url"),
        ({"nats_url": "nats://127.0.0.1", "tls_ca": "none"}, "tls_ca"),
        ({"nats_url": "nats://127.0.0.1", "login_user": "ops"}, "login_secret"),
        ({"nats_url": "nats://127.0.0.1", "name": "edge"}, "name"),
    ):
        answer = api.post("systems/connection/", given)
        assert (answer.status_code, [error["field"] for error in answer.data["errors"]]) == (422, [field]), given
    assert SECRET not in str(told.data) + str(list(AuditEntry.objects.values()))


def test_a_system_is_tried_with_other_fields_that_are_not_saved(api, settings):
    settings.NATS_CONNECT_TIMEOUT = 0.2
    System.objects.update(stage="observed", nats_url="nats://127.0.0.1:1,nats://127.0.0.1:2")
    system = System.objects.get()
    told = api.post(f"systems/{system.pk}/connection/", {"nats_url": "nats://nobody.invalid"})
    assert failed(told)[0] == "name"
    assert System.objects.get().nats_url == system.nats_url
    assert AuditEntry.objects.get(act="connection tried").object_id == str(system.pk)


def test_a_secret_is_lent_to_the_servers_alone_that_it_was_given_for(api, settings):
    """Whoever may change a system could have it sent to a server of their own, and read it there."""
    settings.NATS_CONNECT_TIMEOUT = 0.2
    System.objects.update(stage="observed", nats_url="nats://127.0.0.1:1,nats://127.0.0.1:2", login_user="ops")
    system = System.objects.get()
    system.login_secret = SECRET
    system.save()
    at, elsewhere = f"systems/{system.pk}/", {"nats_url": "nats://mine.example.org"}
    for answer in (api.post(f"{at}connection/", elsewhere), api.patch(at, elsewhere)):
        assert (answer.status_code, answer.data["errors"][0]["field"]) == (422, "login_secret")
    assert failed(api.post(f"{at}connection/", {"nats_url": "nats://127.0.0.1:2"}))[0] == "port"
    assert api.patch(at, {"nats_url": "nats://127.0.0.1:2"}).status_code == 200
    assert api.patch(at, {**elsewhere, "login_secret": "another"}).status_code == 200
    assert System.objects.get().login_secret == "another"


def test_what_is_wrong_stands_at_its_field(api, tmp_path):
    given = {"name": "edge", "conf_dir": str(tmp_path), "nats_url": "nats://127.0.0.1:1"}
    for more, field in (
        ({"tls_ca": "none"}, "tls_ca"),
        ({"login_user": "ops"}, "login_secret"),
        ({"login_secret": "SUNOSEED"}, "login_secret"),
        ({"conf_dir": "/no/such/folder"}, "conf_dir"),
    ):
        answer = api.post("systems/", {**given, **more})
        assert answer.status_code == 422, more
        assert [error["field"] for error in answer.data["errors"]] == [field]
        assert "SUNOSEED" not in str(answer.data)
    System.objects.update(conf_dir=str(tmp_path))
    answer = api.post("systems/", given)
    assert answer.data["errors"][0]["detail"] == f"System “default” has its files in {tmp_path}: give another folder."


def test_who_may_not_is_refused(api, tmp_path):
    system = System.objects.get()
    given = {"name": "edge", "conf_dir": str(tmp_path), "nats_url": "nats://127.0.0.1:1"}
    reader = Api(token_of(factories.staff("bob", "accounts_app.view_system")))
    assert reader.post("systems/", given).status_code == 403
    assert System.objects.get() == system
    nobody = Api(token_of(factories.staff("eve", "accounts_app.view_account")))
    assert nobody.get(f"systems/{system.pk}/connection/").status_code == 403
    assert reader.post("systems/connection/", {"nats_url": "nats://127.0.0.1:1"}).status_code == 403
    assert reader.post(f"systems/{system.pk}/connection/", {}).status_code == 403
    assert not AuditEntry.objects.filter(act="connection tried").exists()
