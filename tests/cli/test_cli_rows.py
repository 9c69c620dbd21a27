"""Rows at the machine itself: REST in this process, on the test database."""

import json

import pytest
from django.utils import timezone

from accounts_app.jetstream.wire import to_server
from accounts_app.models import Account, NatsUser, Role, Server, Token
from accounts_app.systems import new_system
from nunect.cli.resources import RESOURCES
from provisioning.models import Revision
from tests import factories


@pytest.fixture
def acme(db):
    return factories.account("ACME")


def test_the_filters_and_columns_of_the_command_are_those_of_rest():
    from nunect import api

    rows = {prefix: view for prefix, view, _ in api.router.registry if prefix not in _OF_COMMANDS}
    for prefix, view in rows.items():
        known = RESOURCES[prefix]
        found = getattr(view, "filterset_class", None)
        names = set(found.get_filters()) if found else {
            name.partition("__")[0] for name in getattr(view, "filterset_fields", ())
        }  # fmt: skip
        assert set(known.filters) <= names, prefix
        fields = set(view.serializer_class().fields)
        assert set(known.columns) <= fields, prefix
        assert ("create" in known.writes) == ("post" in view.http_method_names and prefix not in _DECIDED), prefix
        assert ("update" in known.writes) == ("patch" in view.http_method_names), prefix
        assert ("delete" in known.writes) == ("delete" in view.http_method_names), prefix
    assert RESOURCES.keys() == rows.keys()


_DECIDED = ("revisions", "holds", "drifts")
_OF_COMMANDS = ("jobs",)  # has commands of its own


def test_a_row_is_made_from_pairs_and_its_secret_stands_alone_on_stdout(nunect, acme):
    answer = nunect(
        "create", "users", "name=svc", "account=ACME", "credential=nkey", "--wait", "0",
        "permissions=[publish orders.>, deny publish orders.secret, subscribe jobs.* workers]",
    )  # fmt: skip
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.startswith("SU") and answer.stdout.count("\n") == 1
    user = NatsUser.objects.get(name="svc")
    kept = user.permissions.order_by("subject").values_list("effect", "action", "subject", "queue")
    assert list(kept) == [
        ("allow", "subscribe", "jobs.*", "workers"),
        ("allow", "publish", "orders.>", ""),
        ("deny", "publish", "orders.secret", ""),
    ]


def test_rows_are_made_from_a_file(nunect, acme):
    answer = nunect("create", "roles", "account=ACME", "-f", "-", "--wait", "0", input="- name: a\n- name: b\n")
    assert answer.exit_code == 0, answer.stderr
    assert set(Role.objects.values_list("name", flat=True)) == {"a", "b"}


def test_a_field_that_nobody_knows_is_refused_and_nothing_is_made(nunect, acme):
    answer = nunect("create", "users", "name=svc", "account=ACME", "colour=blue")
    assert answer.exit_code == 1
    assert "There is no field “colour”" in answer.stderr
    assert not NatsUser.objects.exists()


def test_an_error_names_its_field(nunect, acme):
    answer = nunect("create", "users", "name=svc", "account=NOBODY")
    assert answer.exit_code == 1
    assert answer.stderr.startswith("nunect: account: There is no account “NOBODY”.")


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(nunect, acme):
    answer = nunect("create", "users", "name=svc", "account=ACME", "--dry-run")
    assert answer.exit_code == 0
    assert "user `svc` of account `ACME` is added" in answer.stdout
    assert not NatsUser.objects.exists()


def test_an_ambiguous_name_lists_who_is_meant(nunect, acme):
    first, second = factories.role(acme, "worker"), factories.role(factories.account("GLOBEX"), "worker")
    answer = nunect("get", "roles", "worker")
    assert answer.exit_code == 1
    assert f"{first.pk} (ACME/worker), {second.pk} (GLOBEX/worker)" in answer.stderr
    assert json.loads(nunect("get", "roles", "GLOBEX/worker", "--json").stdout)["id"] == second.pk
    assert json.loads(nunect("get", "roles", str(first.pk), "--json").stdout)["account"] == "ACME"


def test_a_name_of_digits_comes_before_an_id(nunect, acme):
    factories.user(acme, "first")
    user = factories.user(acme, "1")
    assert json.loads(nunect("get", "users", "1", "--json").stdout)["id"] == user.pk


def test_a_change_reaches_the_row(nunect, acme):
    factories.user(acme, "svc")
    answer = nunect("update", "users", "svc", "enabled=false", 'description="true"', "--wait", "0")
    assert answer.exit_code == 0, answer.stderr
    user = NatsUser.objects.get()
    assert (user.enabled, user.description) == (False, "true")


def test_a_server_that_is_gone_for_good_is_forgotten(nunect, acme):
    for name, state in (("n1", Server.State.IN_SYNC), ("n2", Server.State.UNREACHABLE)):
        Server.objects.create(system=acme.system, name=name, server_id=name, state=state)
    refused = nunect("delete", "servers", "n1", "--yes")
    assert (refused.exit_code, "“n1” answers" in refused.stderr) == (1, True)
    told = nunect("delete", "servers", "n2", "--yes", "--wait", "0")
    assert (told.exit_code, told.stderr.splitlines()[0]) == (0, "Server n2 is deleted.")
    assert [server.name for server in Server.objects.all()] == ["n1"]


def test_nothing_is_deleted_where_nobody_can_be_asked(nunect, acme):
    factories.user(acme, "svc")
    answer = nunect("delete", "users", "svc")
    assert answer.exit_code == 1
    assert "--yes" in answer.stderr
    assert NatsUser.objects.exists()
    assert nunect("delete", "users", "svc", "--yes", "--wait", "0").exit_code == 0
    assert not NatsUser.objects.exists()


def test_a_list_is_narrowed_and_ends_where_it_was_told_to(nunect, acme):
    for number in range(5):
        factories.user(acme, f"u{number}", enabled=number > 0)
    answer = nunect("list", "users", "account=ACME", "enabled=true", "--limit", "3")
    assert answer.stdout.splitlines()[0].split() == ["ID", "ACCOUNT", "NAME", "CREDENTIAL", "ACCESS", "ROLE",
        "PERMISSIONS", "ENABLED", "EXPIRES", "AT", "SYNC"]  # fmt: skip
    assert len(answer.stdout.splitlines()) == 4
    assert "These are the first 3; --all lists all" in answer.stderr
    assert [row["name"] for row in json.loads(nunect("list", "users", "--search", "u3", "--json").stdout)] == ["u3"]


def test_csv_of_many_pages_has_one_head(nunect, acme, monkeypatch):
    monkeypatch.setattr("nunect.cli.objects.PAGE", 2)
    for number in range(5):
        factories.user(acme, f"u{number}")
    answer = nunect("list", "users", "--all", "--csv", "--fields", "name,account")
    assert answer.stdout.split() == ["name,account", *(f"u{number},ACME" for number in range(5))]


def test_colour_is_for_terminals_only(nunect, acme):
    factories.user(acme, "svc")
    assert "\x1b" not in nunect("list", "users").stdout
    assert "\x1b" in nunect("list", "users", color=True).stdout
    assert "\x1b" not in nunect("list", "users", color=True, env={"NO_COLOR": "1"}).stdout


def test_a_name_with_control_characters_in_a_description_can_t_paint_the_screen(nunect, acme):
    acme.description = "calm\u202e \u2028"
    type(acme).objects.filter(pk=acme.pk).update(description=acme.description)
    answer = nunect("get", "accounts", "ACME")
    assert "calm\\u202e \\u2028" in answer.stdout


def test_a_bare_token_is_all_that_is_printed(nunect, acme):
    factories.admin("grace")
    answer = nunect("token", "create", "ci", "--scope", "write", "--account", "ACME", "--expires", "90d")
    assert answer.exit_code == 0, answer.stderr
    token = Token.objects.get()
    assert Token.find(answer.stdout.removesuffix("\n")) == token
    assert (token.person.username, token.scope) == ("grace", "write")
    assert [account.name for account in token.accounts.all()] == ["ACME"]
    assert nunect("token", "revoke", "ci").exit_code == 0
    assert Token.find(answer.stdout.strip()) is None


def test_a_token_needs_somebody_whose_it_is(nunect, acme):
    answer = nunect("token", "create", "ci")
    assert answer.exit_code == 1
    assert "There is no administrator yet" in answer.stderr


def test_json_errors_are_the_server_s_own(nunect, acme):
    answer = nunect("create", "users", "name=svc", "account=NOBODY", "--json")
    assert answer.exit_code == 1
    assert json.loads(answer.stderr)["errors"][0]["field"] == "account"


def test_where_nunect_has_never_started_it_says_so(nunect, settings, monkeypatch, tmp_path):
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", str(tmp_path / "none.sqlite3"))
    answer = nunect("list", "users")
    assert answer.exit_code == 1
    assert "There is no nunect on this machine" in answer.stderr


def test_where_there_are_several_systems_lists_say_whose_a_row_is(nunect, acme):
    assert "SYSTEM" not in nunect("list", "accounts").stdout.upper().splitlines()[0]
    factories.account("ACME", system=new_system("shop"))
    head, *lines = nunect("list", "accounts", "name=ACME").stdout.splitlines()
    assert "SYSTEM" in head.upper()
    assert sorted("shop" in line for line in lines) == [False, True]
    factories.user(acme, "svc")
    assert "default" in nunect("list", "users").stdout, "all of one system, and there is another"
    told = nunect("get", "accounts", "ACME").stderr
    assert "(ACME of default)" in told and "(ACME of shop)" in told


def test_revisions_of_several_systems_are_told_apart(nunect, acme):
    for system in (acme.system, new_system("shop", stage="observed")):
        Revision.objects.create(
            system=system,
            number=7,
            sha256=system.name,
            text_sha256="t",
            renderer=1,
            wanted=7,
            authors=[{"person": system.name, "door": "cli"}],
            snapshot_at=timezone.now(),
        )
    head, *lines = nunect("revisions").stdout.splitlines()
    assert "SYSTEM" in head.upper() and len(lines) == 2
    only = nunect("revisions", "--system", "shop").stdout.splitlines()[1:]
    assert [line.split()[:2] for line in only] == [["7", "shop"]]
    refused = nunect("diff", "7")
    assert refused.exit_code == 1 and "say which by --system NAME" in refused.stderr
    assert "by shop" in nunect("diff", "7", "--system", "shop").stderr


def test_where_there_are_several_systems_a_command_names_the_option_and_them(nunect, acme, tmp_path):
    new_system("shop", stage="observed")
    file = tmp_path / "a.yaml"
    file.write_text("accounts: [{name: NEW}]")
    said = "nunect: There are several systems: say which one with --system NAME: default, shop.\n"
    for command in (
        ("create", "accounts", "name=NEW", "--wait", "0"),
        ("apply", "-f", str(file), "--yes", "--wait", "0"),
        ("plan", "-f", str(file)),
        ("export",),
    ):
        refused = nunect(*command)
        assert (refused.exit_code, refused.stderr.splitlines(True)[-1]) == (1, said), command
        assert nunect(*command, "--system", "shop").exit_code in (0, 2), command
        Account.objects.filter(name="NEW").delete()
    other = nunect("plan", "-f", "-", "--system", "shop", input="system: default\naccounts: [{name: NEW}]\n")
    assert other.stderr == "nunect: The documents are for system “default”, and --system says “shop”.\n"


def test_what_would_be_lost_is_asked_about(nunect, db):
    row = factories.stream(factories.account("KEEPS", jetstream=True), "LIM", max_msgs=10)
    drift = [{"setting": "max_msgs", "wanted": 10, "seen": -1, "words": "Max. messages: 10 and no limit."}]
    there = {"seen": {**to_server("stream", "LIM", row.config, None), "max_msgs": -1}, "drift": drift}
    for asked in (("drift", "revert", "streams", "KEEPS/LIM"), ("update", "streams", "KEEPS/LIM", "max_msgs=20")):
        row.refresh_from_db()
        factories.settled(row, **there, counts={"messages": 50, "bytes": 500})
        before = row.wanted
        told = nunect(*asked)
        assert (told.exit_code != 0, "of 50 messages go, the oldest ones." in told.output) == (True, True), told.output
        row.refresh_from_db()
        assert row.wanted == before
        nunect(*asked, "--wait", "0", "--yes")
        row.refresh_from_db()
        assert row.wanted > before
