"""A main file without what nunect owns: nothing else changes, and the server takes it for the same."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from main_files import main_files
from spec_strategies import IDENTITY, bcrypt_like

from accounts_app.natsconf import render
from accounts_app.natsconf.digest import digest
from accounts_app.natsconf.options import TOP_LEVEL
from accounts_app.natsconf.parse import parse
from accounts_app.natsconf.reading import read_accounts
from accounts_app.natsconf.residual import split
from accounts_app.natsconf.sameness import differences
from accounts_app.natsconf.specs import Snapshot

BINARY = Path(sys.executable).with_name("nats-server")
USER = f'{{ user: a, password: "{bcrypt_like(1)}" }}'
ACCOUNTS = f"accounts {{ A: {{ users: [ {USER} ] }} }}"
GUARD = f'users: [ {{ nkey: "{IDENTITY.guard}" }} ]'
OWN = ("accounts", "server_metadata", "authorization")


def parsed(files, main="main.conf", environ=None):
    return parse(files[main], file=main, read=files.__getitem__, environ=environ)


def taken(files, **more):
    return split(parsed(files, environ=more.get("environ")), "main.conf", files.__getitem__, IDENTITY.guard, **more)


def main_of(text, **files):
    """What stays of a main file, without what nunect adds at its end."""
    result = taken({"main.conf": text, **{f"{name}.conf": part for name, part in files.items()}})
    assert not result.refused, result.refused
    kept, _, tail = result.texts["main.conf"].partition("# From here on nunect")
    assert tail.rstrip().endswith('include "accounts.conf"')
    return kept, result


def generated(tree):
    """The file that nunect writes from the rows of this conf."""
    reading = read_accounts(tree, own=IDENTITY.nkeys)
    assert not any(note.verdict == "refused" for note in reading.notes), reading.notes
    return render.assemble(render.render_snapshot(Snapshot(IDENTITY, reading.accounts)), 1).text


def files_after(files, before):
    """All files as they stand when nunect has taken over."""
    result = taken(files)
    assert not result.refused, result.refused
    assert result.texts.keys() & files.keys() == {"main.conf"}, "an include was changed in place"
    return {**files, **result.texts, "accounts.conf": generated(before)}, result


# Whatever people write


@settings(max_examples=80)
@given(main_files())
def test_all_but_what_nunect_owns_stays_as_it_is(files):
    before = parsed(files)
    after, _ = files_after(files, before)
    tree = parsed(after).tree
    kept = {name: value for name, value in before.tree.items() if name.lower() not in OWN}
    lost = {name: value for name, value in kept.items() if name not in tree}
    assert lost.keys().isdisjoint(TOP_LEVEL), "a setting of the server was lost"
    assert {name: tree[name] for name in kept.keys() - lost.keys()} == {n: v for n, v in kept.items() if n not in lost}
    assert tree.keys() - kept.keys() - set(OWN) == set()
    assert differences(before.tree, tree, IDENTITY) == []
    guarded = parsed({**after, "accounts.conf": ""}).tree["authorization"]["users"]
    assert guarded == [{"nkey": IDENTITY.guard}]


@settings(max_examples=80)
@given(main_files())
def test_text_that_stays_is_the_persons_own(files):
    """What nunect has not added is what they wrote, in that order, with parts cut out."""
    for name, text in taken(files).texts.items():
        own = text.partition("# From here on nunect")[0].rstrip()
        own = re.sub(rf"[ \t]*{re.escape(GUARD)}(,|\r?\n)", "", own)
        own = re.sub(r'"[^"]*\.nunect\.conf"', "", own)
        characters = iter(files[name.replace(".nunect", "")])
        assert all(character in characters for character in own), (name, text)


@pytest.mark.live
@settings(max_examples=40, deadline=None)
@given(main_files())
def test_server_takes_what_stays_and_reads_the_same(files):
    before = parsed(files)
    with tempfile.TemporaryDirectory() as folder:
        assert server_digest(Path(folder), files) == digest(before.tree)
    after, result = files_after(files, before)
    with tempfile.TemporaryDirectory() as folder:
        left = {name: text for name, text in after.items() if name not in result.gone or name in result.texts}
        assert server_digest(Path(folder), left) == digest(parsed(after).tree)


def server_digest(folder, files):
    """What the server's binary says of these files. It must take them."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    run = subprocess.run([BINARY, "-t", "-c", folder / "main.conf"], capture_output=True, text=True, timeout=60)
    found = re.search(r"is valid \((sha256:[0-9a-f]{64})\)", run.stderr)
    assert found, run.stderr + repr(files)
    return found[1]


# Case by case


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"{ACCOUNTS}\n", ""),
        (ACCOUNTS, ""),
        (f"debug: off\n{ACCOUNTS}\nport: 1\n", "debug: off\nport: 1\n"),
        (f"debug: off; {ACCOUNTS}; port: 1\n", "debug: off; port: 1\n"),
        (f"# one\n{ACCOUNTS} # two\nport: 1", "# one\n# two\nport: 1\n"),
        (f"port: 1\r\n{ACCOUNTS}\r\n# end\r\n", "port: 1\r\n# end\r\n"),
        (f'{{"port": 1,\n "{ACCOUNTS.replace("accounts", "accounts" + chr(34) + ":", 1)}}}', '{"port": 1,\n }\n'),
        (f"x: 1\n{ACCOUNTS}\nport: $x\n", "x: 1\nport: $x\n"),
        ("L: 1M\naccounts { A { limits { max_payload: $L } } }\nmax_payload: $L", "L: 1M\nmax_payload: $L\n"),
        ("L: 1M\naccounts { A { limits { max_payload: $L } } }\ndebug: off", "debug: off\n"),
        ("a: 5, b: $a\naccounts { A { limits { max_conn: $b } } }\ndebug: off", "debug: off\n"),
        ("a: 5\na: 6\naccounts { A { limits { max_conn: $a } } }\nmax_subs: 3", "a: 5\nmax_subs: 3\n"),
        ("port: 99\naccounts { A { limits { max_conn: $port } } }", "port: 99\n"),
        (f"{ACCOUNTS}\nserver_metadata {{ a: b }}\ndebug: off", "debug: off\n"),
        (f"{ACCOUNTS}\naccounts {{ B {{}} }}\ndebug: off", "debug: off\n"),
    ],
)  # fmt: skip
def test_what_stays(text, kept):
    found, _ = main_of(text)
    assert found.rstrip("\r\n") == kept.rstrip("\r\n")


@pytest.mark.parametrize(
    ("authorization", "kept"),
    [
        ("authorization {}", ""),
        (f"authorization {{ users: [ {USER} ] }}", ""),
        ("authorization { timeout: 3 }", f"authorization {{ {GUARD}, timeout: 3 }}"),
        (f"authorization {{ users: [ {USER} ], timeout: 3 }}", f"authorization {{ {GUARD}, timeout: 3 }}"),
        (f"authorization {{ timeout: 3, users: [ {USER} ] }}", f"authorization {{ {GUARD}, timeout: 3, }}"),
        (
            f"authorization {{ # who\n  timeout: 3 # s\n  users: [ {USER} ]\n}}",
            f"authorization {{ # who\n  {GUARD}\n  timeout: 3 # s\n}}",
        ),
        (
            "authorization {\n  P: { publish: x }\n  T: 3\n  users: [ { user: a, permissions: $P } ]\n  timeout: $T\n}",
            f"authorization {{\n  {GUARD}\n  T: 3\n  timeout: $T\n}}",
        ),
        (
            'AUTHORIZATION = {"username": "x", "pass": "y", "default_permission": {"publish": "a"}, "timeout": 4}',
            f'AUTHORIZATION = {{ {GUARD},"timeout": 4}}',
        ),
        ("authorization { default_permissions { publish: a }, timeout: 3 }",
         f"authorization {{ {GUARD}, default_permissions {{ publish: a }}, timeout: 3 }}"),
        (f"authorization {{ timeout: 9 }}\ndebug: off\nauthorization {{ users: [ {USER} ], timeout: 3 }}",
         f"debug: off\nauthorization {{ {GUARD}, timeout: 3 }}"),
    ],
)  # fmt: skip
def test_guard_takes_the_place_of_users_and_leaves_the_rest(authorization, kept):
    found, result = main_of(f"{authorization}\naccounts {{ B: {{}} }}")
    assert re.sub(" +", " ", found.strip()) == re.sub(" +", " ", kept)
    added = "authorization { users" in result.texts["main.conf"].partition("# From here on nunect")[2]
    assert added == ("authorization" not in kept.lower())


def test_include_with_nothing_else_is_no_longer_included():
    found, result = main_of(
        "debug: off\ninclude a.conf # theirs\nport: 1", a=f"# all\n{ACCOUNTS}\nserver_metadata {{}}"
    )
    assert found.strip() == "debug: off\n# theirs\nport: 1"
    assert result.gone == ("a.conf",)
    assert list(result.texts) == ["main.conf"]


def test_include_with_both_is_written_anew_beside_and_never_in_place():
    files = {
        "main.conf": "debug: off\ninclude 'sub/a.conf'\nport: 1",
        "sub/a.conf": f"# mine\ninclude b.conf\n{ACCOUNTS}\ntrace: off # no\n",
        "sub/b.conf": "http: 1\nauthorization { timeout: 2, users: [] }",
    }
    result = taken(files, exists={"sub/a.nunect.conf"}.__contains__)
    assert result.texts.keys() == {"main.conf", "sub/a.nunect-2.conf", "sub/b.nunect.conf"}
    assert result.texts["sub/a.nunect-2.conf"] == '# mine\ninclude "b.nunect.conf"\ntrace: off # no\n'
    assert result.texts["sub/b.nunect.conf"] == f"http: 1\nauthorization {{ {GUARD}, timeout: 2, }}"
    assert result.texts["main.conf"].startswith('debug: off\ninclude "sub/a.nunect-2.conf"\nport: 1\n')


def test_include_of_other_things_stays_although_it_is_included_twice():
    found, result = main_of("include a.conf\ninclude a.conf\ncluster { include a.conf }\n" + ACCOUNTS, a="port: 1")
    assert found.strip() == "include a.conf\ninclude a.conf\ncluster { include a.conf }"
    assert result.gone == ()


def test_users_of_authorization_may_stand_in_an_include():
    found, result = main_of(
        "authorization {\n  timeout: 3\n  include a.conf\n}\naccounts { B: {} }", a=f"users: [ {USER} ]"
    )
    assert found.strip() == f"authorization {{\n  {GUARD}\n  timeout: 3\n}}"
    assert result.gone == ("a.conf",)


def test_file_of_the_name_that_nunect_writes_makes_room():
    found, result = main_of("include accounts.conf", accounts=ACCOUNTS)
    assert found.strip() == ""
    assert result.gone == ("accounts.conf",)
    found, result = main_of(f"include accounts.conf\n{ACCOUNTS}", accounts="port: 1")
    assert found.strip() == 'include "accounts.nunect.conf"'
    assert result.texts["accounts.nunect.conf"] == "port: 1"
    found, _ = main_of("accounts { include accounts.conf }", accounts="A: {}")
    assert found.strip() == ""


def test_variable_of_an_include_stays_while_anybody_uses_it():
    limits = "N: 5\nM: $N\nALL { max_connections: $M }"
    found, result = main_of("include a.conf\naccounts { A { limits: $ALL } }\nmax_connections: $N", a=limits)
    assert found.strip() == 'include "a.nunect.conf"\nmax_connections: $N'
    assert result.texts["a.nunect.conf"].strip() == "N: 5"
    found, result = main_of("include a.conf\naccounts { A { limits: $ALL } }\n", a=limits)
    assert (found.strip(), result.gone) == ("", ("a.conf",))


def test_variables_of_the_environment_are_left_alone():
    files = {"main.conf": f"port: $PORT\n{ACCOUNTS}"}
    result = taken(files, environ={"PORT": "4222"})
    assert result.texts["main.conf"].startswith("port: $PORT\n")


@pytest.mark.parametrize(
    ("files", "place", "words"),
    [
        ({"main": "port: 1\noperator: x"}, (2, 1), "operator mode"),
        ({"main": "port: 1\nresolver_preload {}"}, (2, 1), "operator mode"),
        ({"main": "authorization {\n auth_callout { issuer: x } }"}, (2, 2), "auth callout"),
        ({"main": "authorization { token: x }"}, (1, 17), "token"),
        ({"main": "authorization { proxy_required: yes }"}, (1, 17), "proxy"),
        ({"main": "no_system_account: true"}, (1, 1), "system account"),
        ({"main": "jetstream: enabled"}, (1, 1), "JetStream belongs to no account"),
        ({"main": "\njetstream {}\naccounts { $SYS { users: [] } }"}, (2, 1), "JetStream belongs to no account"),
        ({"main": "jetstream on\nsystem: S\naccounts { S {} }"}, (1, 1), "JetStream belongs to no account"),
        ({"main": "server_metadata { nunect_sha256: x }"}, (1, 1), "already"),
        ({"main": "A: { users: [] }\nauthorization: $A"}, (2, 1), "instead of a variable"),
        ({"main": "authorization {}\nAuthorization { timeout: 1 }"}, (2, 1), "one setting"),
        ({"main": "include a.conf\ninclude b.conf", "a": "include b.conf", "b": f"debug: off\n{ACCOUNTS}"},
         (2, 1), "second"),
        ({"main": f"cluster {{\n include accounts.conf }}\n{ACCOUNTS}", "accounts": "x: 1"},
         (1, 1), "nunect's own file"),
        ({"main": f"{ACCOUNTS}\ntls {{ x {{ a: }}\n y: 1 }}"}, (2, 11), "no value"),
    ],
)  # fmt: skip
def test_what_cant_be_split_is_refused_with_its_place(files, place, words):
    result = taken({f"{name}.conf": text for name, text in files.items()})
    assert result.texts == {}
    (note,) = result.refused
    assert words in note.sentence
    assert (note.position.line, note.position.column) == place


@pytest.mark.parametrize("off", ["jetstream: false", "jetstream: disabled", "jetstream { enabled: false }"])
def test_jetstream_that_is_off_is_no_hindrance(off):
    assert not taken({"main.conf": off}).refused


@pytest.mark.live
def test_names_of_settings_are_the_servers(judge):
    """A name that we take for a setting, and the server doesn't, would be kept where it must go."""
    unknown = [name for name in sorted(TOP_LEVEL) if f'unknown field "{name}"' in judge(f"{name}: {{ zz: 1 }}")[1]]
    assert unknown == []
    assert 'unknown field "nunect"' in judge("nunect: { zz: 1 }")[1]


OWN_TIME = f"authorization {{ timeout: 5, users: [ {USER} ] }}\naccounts {{ B: {{}} }}"


def test_login_time_that_nunect_writes_itself_is_told():
    _, result = main_of(OWN_TIME)
    assert [note.sentence for note in result.notes if note.verdict == "weak"] == [
        "A login may take 2 s from now on, not 5: nunect writes `authorization` where it holds users."
    ]
    for text, housed in ((f"authorization {{ timeout: 5 }}\n{ACCOUNTS}", False), (OWN_TIME, True)):
        result = taken({"main.conf": text}, housed=housed)
        assert [note.sentence for note in result.notes if note.verdict == "weak"] == []


# The same people with the same rights


def trees(text):
    return parse(text).tree, parse(generated(parse(text))).tree


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (f"{ACCOUNTS}\nauthorization {{ timeout: 3 }}\nx: 1", []),
        ("accounts { A: {} }", ["user `a` of account `A` is added"]),
        (f"accounts {{ A: {{ users: [ {USER} ] }}, B: {{}} }}", ["account `B` is removed"]),
        (f"{ACCOUNTS}\nauthorization {{ user: x, password: y }}", ["`authorization` is removed with 1 user"]),
        (
            f"accounts {{ A: {{ users: [ {USER} ], default_permissions: {{ publish: x }} }} }}",
            ["user `a` of account `A` may now publish everything"],
        ),
    ],
)
def test_differences_are_told_in_natss_words(other, words):
    before = parse(other).tree
    _, after = trees(ACCOUNTS)
    assert [str(change) for change in differences(before, after, IDENTITY)] == words


def test_password_in_clear_is_the_same_as_its_hash():
    before = parse("accounts { A: { users: [ { username: a, pass: secret } ] } }").tree
    _, after = trees(ACCOUNTS)
    assert [str(c) for c in differences(before, after, IDENTITY)] == [
        "user `a` of account `A` proves itself by another password"
    ]
    same = {("secret", bcrypt_like(1))}
    assert differences(before, after, IDENTITY, hashed=lambda *both: both in same) == []


CONFS = Path(__file__).parents[1] / "confs/takeover"
ENVIRON = {"HOST_NAME": "h1", "APP_USER": "app", "APP_PASSWORD": "pass-1", "WORKER_PASSWORD": f"'{bcrypt_like(9)}'"}


@pytest.mark.parametrize("name", ["single", "parts", "environment", "hashes", "tls"])
def test_realistic_confs_can_be_split(name):
    file = str(CONFS / name / "nats-server.conf")

    def read(path):
        return Path(path).read_bytes().decode()

    before = parse(read(file), file=file, read=read, environ=ENVIRON)
    result = split(before, file, read, IDENTITY.guard, environ=ENVIRON)
    assert not result.refused
    assert len(result.texts[file].splitlines()) > 4
