"""The confs that people have → rows that mean the same, a report in words, and the same again: nothing."""

import io
import json
import re
import subprocess
import sysconfig
from pathlib import Path

import bcrypt
import pytest
from django.core.management import CommandError, call_command

from accounts_app.importing import import_conf, read_conf
from accounts_app.models import (
    CONFIG_MODELS,
    Account,
    AuditEntry,
    Export,
    ExportAccess,
    Import,
    MappingDestination,
    NatsUser,
    Role,
    System,
)
from accounts_app.natsconf.render import assemble, render_snapshot
from accounts_app.natsconf.specs import Snapshot
from accounts_app.snapshot import take_snapshot
from tests.accounts_app.conftest import new_system

CONFS = Path(__file__).parents[1] / "confs"
ENV = {"GRAFANA_PASSWORD": "graph-ana"}
IMPORTABLE = ("shop", "global", "single", "sharing", "own-system", "certificates", "parts", "holes")
SECRETS = ("hunter-two", "porkchop", "graph-ana", "s3cr3t", "0123456789012345678901234567")

pytestmark = pytest.mark.django_db


def conf(name):
    return CONFS / f"{name}.conf"


def take(system, name, **options):
    return import_conf(system, read_conf(conf(name), ENV), **options)


def command(*args):
    """(what was printed, what was refused or "")."""
    out, refused = io.StringIO(), ""
    try:
        call_command(*args, stdout=out, stderr=out)
    except CommandError as error:
        refused = str(error)
    except SystemExit as left:
        refused = f"exit {left.code}"
    return out.getvalue(), refused


def world():
    """Everything that an import could have written."""
    rows = {model.__name__: list(model.objects.order_by("pk").values()) for model in CONFIG_MODELS}
    return rows, {model.__name__: model.history.count() for model in CONFIG_MODELS}, AuditEntry.objects.count()


def rendered(system):
    taken = take_snapshot(system.pk)
    return assemble(render_snapshot(Snapshot(taken.identity, tuple(taken.moved.values()), taken.shared)), 1).text


def judge(text, folder):
    (folder / "whole.conf").write_text(text)
    binary = Path(sysconfig.get_path("scripts")) / "nats-server"
    return subprocess.run([binary, "-t", "-c", folder / "whole.conf"], capture_output=True, text=True)


@pytest.mark.parametrize("name", IMPORTABLE)
def test_the_same_file_again_changes_nothing(system, name):
    first = take(system, name)
    assert first.changes
    assert not first.refused
    before = world()
    assert not take(system, name).changes
    assert world() == before


@pytest.mark.parametrize("name", IMPORTABLE)
def test_what_was_taken_is_a_conf_that_the_server_takes(system, name, tmp_path):
    take(system, name)
    answer = judge(rendered(system), tmp_path)
    assert "is valid" in answer.stderr, answer.stderr


@pytest.mark.parametrize("name", IMPORTABLE)
def test_a_dry_run_says_the_same_and_writes_nothing(system, name):
    before = world()
    told = take(system, name, dry_run=True)
    assert world() == before
    done = take(system, name)
    assert told.changes == done.changes
    assert [note.sentence for note in told.notes] == [note.sentence for note in done.notes]


@pytest.mark.parametrize("name", IMPORTABLE)
def test_every_note_has_a_place_and_no_secret(system, name):
    report = take(system, name)
    said = json.dumps(report.as_dict())
    assert all(re.search(r"\.conf:\d+:\d+$", note["where"]) for note in report.as_dict()["notes"])
    assert not [secret for secret in SECRETS if secret in said]
    assert "$2a$" not in said


@pytest.mark.parametrize("name", ["operator", "callout"])
def test_other_modes_are_refused_whole_and_in_words(system, name):
    before = world()
    report = take(system, name)
    assert report.refused
    assert any("operator mode" in note.sentence or "auth callout" in note.sentence for note in report.notes)
    assert world() == before


def test_a_shop(system):
    report = take(system, "shop")
    shop = Account.objects.get(name="SHOP")
    assert (shop.jetstream, shop.jetstream_max_mem, shop.jetstream_max_streams) == (True, 64_000_000, 10)
    assert shop.default_role.name == "shop.public"
    orders, billing, screen, browser = (
        NatsUser.objects.get(name=name) for name in ("orders", "billing", "screen", "browser")
    )
    assert (orders.access, orders.allow_responses) == ("own", True)
    assert {str(rule) for rule in billing.permissions.all()} == {
        "allow publish billing.>",
        "deny publish billing.secret.>",
        "allow subscribe orders.> billing",
        "allow subscribe _INBOX.>",
    }
    assert screen.access == "inherit"
    assert bcrypt.checkpw(b"hunter-two", screen.password_hash.encode())
    assert screen.password_hash.startswith("$2a$04$")
    assert browser.connection_types == ["WEBSOCKET"]
    assert Account.objects.get(name="LAB").max_payload == 64_000
    verdicts = {note.path[0]: note.verdict for note in report.notes if len(note.path) == 1}
    assert verdicts["port"] == verdicts["http"] == verdicts["jetstream"] == "left"
    assert [note.sentence for note in report.notes if note.verdict == "weak"] == [
        'The password of user "screen" stands in the conf in clear.'
    ]


def test_users_without_an_account_live_in_the_global_one(system):
    take(system, "global")
    users = {user.name: user for user in NatsUser.objects.filter(account__name="$G")}
    assert users["admin"].access == "all"
    assert users["guest"].access == "inherit"
    (meter,) = (user for name, user in users.items() if name.startswith("nkey-"))
    assert (meter.credential, meter.access) == ("nkey", "own")


def test_accounts_that_share(system):
    take(system, "sharing")
    assert Export.objects.count() == 4
    assert [str(each) for each in ExportAccess.objects.all()] == ["EDGE"]
    assert Import.objects.filter(account__name="EDGE", from_account__name="CORE").count() == 4
    assert MappingDestination.objects.count() == 3
    assert Account.objects.filter(name="EMPTY").exists()


def test_the_files_system_account_becomes_the_systems(system):
    take(system, "own-system")
    assert not Account.objects.filter(name="OPS").exists()
    assert NatsUser.objects.get(name="ops").account.name == "$SYS"
    assert Import.objects.get().from_account.name == "$SYS"
    assert set(ExportAccess.objects.values_list("account__name", flat=True)) == {"$SYS", "APP"}


def test_the_system_account_of_servers_that_are_only_observed_keeps_its_name(system):
    system.stage = System.Stage.OBSERVED
    system.save()
    parsed = read_conf(conf("own-system"), {})
    assert not import_conf(system, parsed, dry_run=True).refused
    system.refresh_from_db()
    assert (system.system_account, Account.objects.filter(name="OPS").exists()) == ("$SYS", False)
    report = import_conf(system, parsed)
    system.refresh_from_db()
    assert system.system_account == "OPS"
    assert NatsUser.objects.get(name="ops").account.name == "OPS"
    assert not Account.objects.filter(name="$SYS").exists()
    assert not [note for note in report.notes if "doesn't start" in note.sentence]
    assert not import_conf(system, parsed).changes


def test_certificates_are_identities(system):
    take(system, "certificates")
    assert set(NatsUser.objects.values_list("credential", flat=True)) == {"certificate"}
    assert "CN=press-1,OU=hall 2,O=Plant" in NatsUser.objects.values_list("certificate", flat=True)


def test_variables_includes_and_roles(system):
    report = take(system, "parts")
    assert report.variables == ("GRAFANA_PASSWORD",)
    assert Account.objects.get(name="TELEMETRY").max_subscriptions == 1000
    assert Role.objects.get().name == "telemetry"
    assert NatsUser.objects.filter(role__name="telemetry").count() == 2
    assert bcrypt.checkpw(b"graph-ana", NatsUser.objects.get(name="grafana").password_hash.encode())


def test_a_user_without_a_password_comes_in_disabled(system):
    report = take(system, "holes")
    nobody = NatsUser.objects.get(name="nobody")
    assert (nobody.credential, nobody.enabled) == ("none", False)
    assert NatsUser.objects.get(name="open").access == "all"
    assert {str(rule) for rule in NatsUser.objects.get(name="half").permissions.all()} == {
        "allow publish a.>",
        "allow subscribe >",
    }
    assert {str(rule) for rule in NatsUser.objects.get(name="star").permissions.all()} == {"allow subscribe x"}
    assert {note.verdict for note in report.notes} == {"taken", "weak", "refused"}


def test_a_credential_given_here_outlives_a_file_that_has_none(system):
    take(system, "holes")
    NatsUser.objects.filter(name="nobody").update(credential="certificate", certificate="CN=n", enabled=True)
    assert not take(system, "holes").changes
    assert NatsUser.objects.get(name="nobody").enabled


def test_another_password_in_the_file_is_another_hash(system, tmp_path):
    take(system, "single")
    before = NatsUser.objects.get().password_hash
    changed = tmp_path / "single.conf"
    changed.write_text(conf("single").read_text().replace("porkchop", "pork-belly"))
    import_conf(system, read_conf(changed))
    after = NatsUser.objects.get()
    assert bcrypt.checkpw(b"pork-belly", after.password_hash.encode())
    hashed = bcrypt.hashpw(b"third", bcrypt.gensalt(4, prefix=b"2a")).decode()
    changed.write_text(conf("single").read_text().replace("porkchop", hashed))
    import_conf(system, read_conf(changed))
    take(system, "single")
    assert bcrypt.checkpw(b"porkchop", NatsUser.objects.get().password_hash.encode())
    assert NatsUser.objects.get().password_hash != before


def test_nunects_own_users_are_never_rows(system, tmp_path):
    own = tmp_path / "accounts.conf"
    own.write_text(rendered(system))
    report = import_conf(system, read_conf(own))
    assert not report.changes
    assert not NatsUser.objects.exists()


def test_what_nunect_renders_comes_back_as_the_same_conf(system, tmp_path):
    take(system, "shop")
    take(system, "sharing")
    text = rendered(system)
    (tmp_path / "mine.conf").write_text(text)
    import_conf(system, read_conf(tmp_path / "mine.conf"))
    assert rendered(system) == text


def test_nothing_is_taken_when_one_place_is_impossible(system, rows):
    rows.user(rows.account("OTHER"), "lab")
    before = world()
    out, refused = command("import", str(conf("shop")))
    assert "Account “OTHER” has a user of this name already" in refused
    assert "Traceback" not in out + refused
    assert world() == before


def test_the_audit_says_what_was_imported_and_no_secret(system):
    take(system, "shop")
    entry = AuditEntry.objects.get(act="imported")
    assert entry.detail["changes"]["created"]["user"] == 5
    assert "hunter" not in json.dumps(entry.detail)


def test_ten_thousand_users_count_once(system, rows, tmp_path):
    """A tenth of them here; the time of all is the bench's to tell."""
    users = "\n".join(
        f'{{ user: u{n}, password: "$2a$04${n:053d}", permissions: {{ publish: "d.{n % 7}.>" }} }}' for n in range(1000)
    )
    (tmp_path / "many.conf").write_text(f"accounts {{ MANY: {{ users: [\n{users}\n] }} }}")
    import_conf(system, read_conf(tmp_path / "many.conf"))
    assert NatsUser.objects.count() == 1000
    assert Role.objects.count() == 7
    assert Account.objects.get(name="MANY").wanted == 1


# The commands


def test_import_tells_line_by_line(system):
    out, refused = command("import", str(conf("shop")))
    assert not refused
    assert re.search(r"shop\.conf:2:1 +`port` belongs to the main file", out)
    assert "hunter-two" not in out
    out, _ = command("import", str(conf("shop")))
    assert "Nothing differs" in out


def test_import_as_json(system):
    out, _ = command("import", str(conf("shop")), "--json", "--dry-run")
    report = json.loads(out)
    assert (report["dry_run"], report["accounts"], report["users"]) == (True, 2, 5)
    assert not Account.objects.filter(name="SHOP").exists()


def test_variables_are_used_only_when_given(system, monkeypatch):
    monkeypatch.setenv("GRAFANA_PASSWORD", "from-the-shell")
    _, refused = command("import", str(conf("parts")))
    assert re.search(r"parts\.conf:\d+:\d+: .*GRAFANA_PASSWORD", refused)
    out, refused = command("import", str(conf("parts")), "--env", "GRAFANA_PASSWORD=graph-ana")
    assert not refused
    assert "GRAFANA_PASSWORD" in out
    assert "graph-ana" not in out


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ((str(CONFS / "nowhere.conf"),), "can't be read"),
        ((str(CONFS),), "can't be read"),
        ((str(conf("broken")),), r"broken\.conf:\d+:\d+"),
        ((str(conf("operator")),), "exit 1"),
        ((str(conf("shop")), "--system", "moon"), "There is no system “moon”"),
        ((str(conf("shop")), "--env", "nonsense"), "NAME=VALUE"),
    ],
)
def test_refusals_are_one_sentence(system, args, reason):
    out, refused = command("import", *args)
    assert re.search(reason, refused)
    assert "Traceback" not in out
    assert not [secret for secret in SECRETS if secret in out + refused]
    assert not Account.objects.filter(name="SHOP").exists()


def test_among_several_systems_one_must_be_named(system):
    other = new_system("other")
    _, refused = command("import", str(conf("shop")))
    assert "default, other" in refused
    _, refused = command("import", str(conf("shop")), "--system", "other")
    assert not refused
    assert Account.objects.get(name="SHOP").system == other


def test_without_a_system_it_says_what_to_do():
    assert command("import", str(conf("shop")))[1] == "There is no system yet: run `nunect up` once."


@pytest.mark.parametrize("name", ["shop", "global", "single", "sharing", "own-system", "parts", "holes"])
def test_digest_is_the_servers(name, django_db_blocker):
    given = ("--env", "GRAFANA_PASSWORD=graph-ana")
    with django_db_blocker.block():
        out, refused = command("conf", "digest", str(conf(name)), *given)
        assert not refused
        told, refused = command("conf", "check", str(conf(name)), *given)
    assert not refused
    assert out.strip() in told
    assert "nats-server takes" in told
    assert not [secret for secret in SECRETS if secret in told]


def test_check_repeats_the_servers_refusal(tmp_path):
    file = tmp_path / "odd.conf"
    file.write_text("accounts { A: { users: [ { user: a, password: s3cr3t-word } ] }, B: { imports: 5 } }")
    out, refused = command("conf", "check", str(file))
    assert "nats-server refuses it" in refused
    assert "s3cr3t-word" not in out + refused


def test_a_broken_file_is_refused_with_its_place():
    for act in ("digest", "check"):
        assert re.search(r"broken\.conf:\d+:\d+: ", command("conf", act, str(conf("broken")))[1])


def test_show_masks_what_is_secret(system):
    take(system, "shop")
    take(system, "global")
    out, refused = command("conf", "show")
    assert not refused
    assert "orders" in out
    assert "authorization" in out
    assert "$2a$" not in out
    assert not re.search(r"U[A-Z2-7]{55}", out)
    told, _ = command("conf", "show", "--secrets")
    assert "$2a$" in told
    only, _ = command("conf", "show", "--account", "LAB")
    assert "lab" in only
    assert "orders" not in only
    assert "no enabled account “MOON”" in command("conf", "show", "--account", "MOON")[1]
    assert "no such system" in command("conf", "show", "--system", "moon")[1]
