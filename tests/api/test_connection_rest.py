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
