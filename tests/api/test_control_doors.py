"""nunect's own account `$NUNECT`: no door puts anything into it, or shares anything with it."""

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command

from accounts_app.models import Account, Export, ExportAccess, Import, NatsUser, Role
from accounts_app.natsconf.specs import CONTROL_ACCOUNT
from accounts_app.reconcile import reconcile
from accounts_app.services import check_deletable, create_user
from accounts_app.snapshot import read_account
from tests import factories
from tests.api.conftest import errors

NOT_YOURS = "$NUNECT is nunect's own account: nothing else goes into it, and nothing else is shared with it."
ONLY_TOLD = "This is nunect's own account: only its description and owner can be changed."


@pytest.fixture
def control(ada):
    return Account.objects.get(name=CONTROL_ACCOUNT)


@pytest.mark.parametrize(
    "path, body, field",
    [
        ("users/", {"account": "$NUNECT", "name": "eve"}, "account"),
        ("roles/", {"account": "$NUNECT", "name": "all"}, "account"),
        ("exports/", {"account": "$NUNECT", "kind": "service", "subject": "a", "public": True}, "account"),
        ("exports/", {"account": "ACME", "kind": "service", "subject": "a", "accounts": ["$NUNECT"]}, "accounts"),
        ("imports/", {"account": "$NUNECT", "kind": "service", "from_account": "ACME", "subject": "b"}, "account"),
        ("imports/", {"account": "ACME", "kind": "service", "from_account": "$NUNECT", "subject": "b"}, "from_account"),
        ("mappings/", {"account": "$NUNECT", "source": "a", "destinations": [{"subject": "b"}]}, "account"),
    ],
)
def test_rest_puts_nothing_into_it(api, acme, control, path, body, field):
    Export.objects.create(account=acme, kind="service", subject="b", public=True)
    assert errors(api.post(path, body)) == {field: NOT_YOURS}
    assert not any(model.objects.filter(account=control) for model in (NatsUser, Role, Export, Import))
    assert not ExportAccess.objects.exists()


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"enabled": False}, "nunect's own account can't be disabled."),
        ({"name": "MINE"}, "nunect's own account keeps its name."),
        ({"max_connections": 0}, ONLY_TOLD),
        ({"jetstream": True}, ONLY_TOLD),
        ({"jetstream_control": False}, ONLY_TOLD),
    ],
)
def test_rest_changes_nothing_of_it_that_a_server_sees(api, control, change, sentence):
    (field,) = change
    assert errors(api.patch(f"accounts/{control.pk}/", change)) == {field: sentence}
    assert api.patch(f"accounts/{control.pk}/", {"description": "seen"}).status_code == 200


def test_it_can_not_be_deleted(api, control):
    with pytest.raises(ValidationError, match="nunect's own"):
        check_deletable(control)
    assert "nunect's own" in " ".join(errors(api.delete(f"accounts/{control.pk}/")).values())
    assert Account.objects.filter(pk=control.pk).exists()


def test_documents_neither_say_it_nor_change_it(api, acme, control):
    assert {account["name"] for account in api.get("apply/").data["accounts"]} == {"$SYS", "ACME"}
    told = errors(api.post("apply/", {"accounts": [{"name": "$NUNECT", "users": [{"name": "eve"}]}]}))
    assert [ONLY_TOLD in said for said in told.values()] == [True]
    export = {"kind": "service", "subject": "a", "accounts": ["$NUNECT"]}
    told = errors(api.post("apply/", {"accounts": [{"name": "ACME", "exports": [export]}]}))
    assert "nunect's own account" in " ".join(told.values())
    assert api.post("apply/?prune=true", {"accounts": [{"name": "NEW"}]}).status_code == 200
    assert Account.objects.filter(name="$NUNECT").exists()


def test_the_switch_goes_through_rest_and_documents(api, acme):
    assert api.get(f"accounts/{acme.pk}/").data["jetstream_control"] is True
    assert api.patch(f"accounts/{acme.pk}/", {"jetstream": True, "jetstream_control": False}).status_code == 200
    assert [each.get("jetstream_control") for each in api.get("apply/?account=ACME").data["accounts"]] == [False]
    conf = api.get(f"accounts/{acme.pk}/conf/").data["conf"]
    assert "$NUNECT" not in conf
    looked = api.patch(f"accounts/{acme.pk}/?dry_run=true", {"jetstream_control": True})
    assert [change["text"] for change in looked.data["changes"]] == ["nunect now sees the streams of account `ACME`"]
    api.post("apply/", {"accounts": [{"name": "ACME", "jetstream": True}]})
    acme.refresh_from_db()
    assert acme.jetstream_control is True


def test_an_import_leaves_the_switch_to_the_rows_unless_nunect_wrote_the_conf(api, acme):
    Account.objects.filter(pk=acme.pk).update(jetstream=True, jetstream_control=False)
    assert api.post("import/", {"conf": "accounts { ACME { jetstream: true } }"}).status_code == 200
    acme.refresh_from_db()
    assert (acme.jetstream, acme.jetstream_control) == (True, False)
    ours = "accounts { ACME { jetstream: true }, $NUNECT { imports: ["
    ours += '{ service: {account: ACME, subject: "$JS.API.>"}, to: "JSACC.ACME.>" } ] } }'
    report = api.post("import/", {"conf": ours})
    assert report.status_code == 200, report.data
    acme.refresh_from_db()
    assert acme.jetstream_control is True
    assert "$NUNECT" not in str(report.data["notes"])


def test_its_raw_conf_says_whose_streams_it_sees(api, acme, control, capsys):
    Account.objects.filter(pk=acme.pk).update(jetstream=True)
    factories.account("HIDDEN", jetstream=True, jetstream_control=False)
    shown = api.get(f"accounts/{control.pk}/conf/").data["conf"]
    assert "JSACC.ACME.>" in shown
    assert "JSEV.ACME.>" in shown
    assert "HIDDEN" not in shown
    call_command("conf", "show", "--account", "$NUNECT")
    told = capsys.readouterr().out
    assert "JSACC.ACME.>" in told
    assert "HIDDEN" not in told


def test_no_service_and_no_reconciliation_puts_a_user_into_it(control):
    with pytest.raises(ValidationError, match="nunect's own"):
        create_user(control, "eve")
    assert not reconcile(control.system, [read_account(control)])


def test_its_page_offers_two_fields_and_no_deletion(client, ada, control):
    client.force_login(ada)
    address = f"/admin/accounts_app/account/{control.pk}/change/"
    form = client.get(address).context["adminform"].form
    assert set(form.fields) == {"description", "owner"}
    client.post(address, {"description": "ours", "max_connections": "1", "jetstream": "on", "name": "X"})
    control.refresh_from_db()
    assert (control.description, control.max_connections, control.jetstream) == ("ours", None, False)
    assert control.enabled
    assert client.post(f"/admin/accounts_app/account/{control.pk}/delete/", {"name": "$NUNECT"}).status_code == 403
    user = {"account": control.pk, "name": "eve", "credential": "nkey", "access": "own", "kind": "nkey"}
    answer = client.post("/admin/accounts_app/natsuser/add/", user)
    assert answer.status_code == 200
    assert not NatsUser.objects.exists()
