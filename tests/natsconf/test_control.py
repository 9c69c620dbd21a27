"""nunect's control account: what it imports, from whom, and that the server takes it and keeps it to that."""

import re
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from spec_strategies import IDENTITY, bcrypt_like, key

from accounts_app.natsconf import emit, nkeys, render
from accounts_app.natsconf.diff import diff
from accounts_app.natsconf.document import read_document, write_document
from accounts_app.natsconf.parse import parse
from accounts_app.natsconf.reading import read_accounts
from accounts_app.natsconf.spec_json import spec_from_json, spec_to_json
from accounts_app.natsconf.specs import (
    AccountSpec,
    ExportSpec,
    ImportSpec,
    JetStreamSpec,
    SecretSpec,
    Snapshot,
    UserSpec,
)

API, EVENTS = "$JS.API.>", "$JS.EVENT.>"
GUARD = f'authorization: {{ users: [ {{ nkey: "{IDENTITY.guard}" }} ] }}\n'


def keeping(name, **fields):
    return AccountSpec(name, jetstream=JetStreamSpec(), **fields)


def blocks_of(*accounts):
    return render.render_snapshot(Snapshot(IDENTITY, accounts))


def trees_of(*accounts):
    return {name: block.tree for name, block in blocks_of(*accounts).items()}


def text_of(*accounts):
    return render.assemble(blocks_of(*accounts), 1).text


def seen(trees):
    """{(account, kind)} that the control account imports."""
    return {
        (each[kind]["account"], kind) for each in trees["$NUNECT"].get("imports", ()) for kind in each if kind != "to"
    }


BOTH = {("A", "service"), ("A", "stream")}


def test_an_account_with_jetstream_shows_itself_and_is_imported_under_its_name():
    trees = trees_of(keeping("A"), AccountSpec("B"))
    assert trees["A"]["exports"] == [
        {"service": API, "accounts": ["$NUNECT"], "response_type": "stream"},
        {"stream": EVENTS, "accounts": ["$NUNECT"]},
    ]
    assert trees["$NUNECT"]["imports"] == [
        {"service": {"account": "A", "subject": API}, "to": "JSACC.A.>"},
        {"stream": {"account": "A", "subject": EVENTS}, "to": "JSEV.A.>"},
    ]
    assert "exports" not in trees["B"]


@pytest.mark.parametrize(
    "account",
    [AccountSpec("A"), keeping("A", jetstream_control=False), keeping("A", enabled=False)],
    ids=["no JetStream", "opted out", "disabled"],
)
def test_nothing_is_imported_of(account):
    trees = trees_of(account)
    assert seen(trees) == set()
    assert "imports" not in trees["$NUNECT"]
    assert "$NUNECT" not in str(trees.get("A"))


def test_the_control_account_is_there_with_its_one_user_whatever_its_rows_say():
    stranger = UserSpec("stranger", SecretSpec("password", bcrypt_like(1)), access="all")
    odd = AccountSpec("$NUNECT", users=(stranger,), exports=(ExportSpec("service", ">"),), enabled=False)
    for trees in (trees_of(), trees_of(odd)):
        (user,) = trees["$NUNECT"]["users"]
        assert user["nkey"] == IDENTITY.jetstream
        assert user["permissions"] == {
            "publish": {"allow": ["JSACC.>"]},
            "subscribe": {"allow": ["JSEV.>", "_INBOX_jetstream.>"]},
        }
        assert trees["$NUNECT"].keys() == {"users"}


@pytest.mark.parametrize("accounts, written", [(("B",), ["$NUNECT", "B"]), ((), ["$NUNECT"]), (None, None)])
def test_an_export_of_the_same_subject_is_shared_not_repeated(judge, accounts, written):
    own = ExportSpec("service", API, accounts)
    user = AccountSpec("B", imports=(ImportSpec("service", "A", "$JS.API.INFO"),) if accounts != () else ())
    trees = trees_of(keeping("A", exports=(own,)), user)
    (service, _stream) = trees["A"]["exports"]
    assert service == {"service": API, **({"accounts": written} if written else {})}
    assert seen(trees) == BOTH
    digest, errors = judge(GUARD + text_of(keeping("A", exports=(own,)), user))
    assert digest, errors


def test_who_offers_it_to_everybody_and_opts_out_is_left_alone():
    assert seen(trees_of(keeping("A", jetstream_control=False, exports=(ExportSpec("service", API),)))) == set()


@pytest.mark.parametrize(
    "export, subject, kind",
    [
        (ExportSpec("service", "$JS.API.CONSUMER.>", ("B",)), "$JS.API.CONSUMER.INFO.s.c", "service"),
        (ExportSpec("service", ">"), "$JS.API.INFO", "service"),
        (ExportSpec("service", "$JS.>", ("B",)), API, "service"),
        (ExportSpec("stream", "$JS.EVENT.ADVISORY.>", ("B",)), "$JS.EVENT.ADVISORY.STREAM.>", "stream"),
    ],
)
def test_an_import_that_ours_would_leave_to_chance_goes_first(judge, export, subject, kind):
    accounts = (keeping("A", exports=(export,)), AccountSpec("B", imports=(ImportSpec(kind, "A", subject),)))
    assert seen(trees_of(*accounts)) == BOTH - {("A", kind)}
    text = GUARD + text_of(*accounts)
    for _ in range(6):
        digest, errors = judge(text)
        assert digest, errors


def test_nobody_blinds_nunect_by_an_import_that_is_not_allowed():
    for exports in ((), (ExportSpec("service", "$JS.API.CONSUMER.>", ("C",)),)):
        thief = AccountSpec("B", imports=(ImportSpec("service", "A", "$JS.API.CONSUMER.LIST.s"),))
        assert render.crowded([keeping("A", exports=exports), thief]) == frozenset()


def test_an_import_of_just_what_is_exported_stands_beside_ours(judge):
    export = ExportSpec("service", "$JS.API.CONSUMER.MSG.NEXT.s.*", ("B",))
    accounts = (
        keeping("A", exports=(export,)),
        AccountSpec("B", imports=(ImportSpec("service", "A", export.subject),)),
    )
    assert seen(trees_of(*accounts)) == BOTH
    for _ in range(6):
        digest, errors = judge(GUARD + text_of(*accounts))
        assert digest, errors


@pytest.mark.parametrize(
    "account",
    [
        AccountSpec("A", exports=(ExportSpec("service", "a", ("$NUNECT",)),)),
        AccountSpec("A", imports=(ImportSpec("service", "$NUNECT", "a"),)),
    ],
)
def test_no_row_may_name_it(account):
    with pytest.raises(render.RenderError, match="nunect's own account"):
        render.render_account(account, (), IDENTITY)


def test_another_account_may_not_import_the_api(judge):
    stranger = AccountSpec("B", imports=(ImportSpec("service", "A", API),))
    (wrong,) = render.check_sharing([keeping("A"), stranger])
    assert wrong.account == "B"
    accounts = {"A": trees_of(keeping("A"))["A"], "B": render.render_account(stranger).tree, "$NUNECT": {}}
    entries = "".join(render.block_of(name, tree).text for name, tree in accounts.items())
    digest, errors = judge(f"{GUARD}accounts: {{\n{entries}}}\n")
    assert not digest
    assert "not authorized" in errors


# Steps and probes


def test_whoever_leaves_is_no_longer_imported_while_it_is_kept_empty(judge):
    before, after = blocks_of(keeping("A"), keeping("B")), blocks_of(keeping("B"))
    step = render.next_step({name: block.tree for name, block in before.items()}, after)
    assert step["A"].tree == {}
    assert seen({name: block.tree for name, block in step.items()}) == {("B", "service"), ("B", "stream")}
    digest, errors = judge(GUARD + render.assemble(step, 2).text)
    assert digest, errors


def test_a_probe_sees_only_what_its_accounts_show(judge):
    blocks = blocks_of(keeping("A"), keeping("B"))
    near = {name: blocks[name] for name in ("A", "$NUNECT")}
    text = render.probe_conf(near, ["A"])
    assert "JSACC.A.>" in text
    assert "JSACC.B.>" not in text
    digest, errors = judge(text)
    assert digest, errors
    hidden = {**near, "A": blocks_of(keeping("A", jetstream_control=False))["A"]}
    digest, errors = judge(render.probe_conf(hidden, ["A"]))
    assert digest, errors


def test_a_kept_tree_still_shows_what_it_showed():
    block = blocks_of(keeping("A"))["A"]
    assert render.block_of("A", block.tree).shows == block.shows == ("service", "stream")
    assert render.empty_block("A").shows == ()


def test_an_import_is_written_once_and_kept():
    many = [keeping(f"A{number}") for number in range(300)]
    first = blocks_of(*many)["$NUNECT"]
    second = blocks_of(*many, keeping("B"))["$NUNECT"]
    assert first.tree["imports"][0] is second.tree["imports"][0]
    assert first.tree["imports"][0].text is not None


# Words


def words(before, after):
    return [str(change) for change in diff({"accounts": trees_of(*before)}, {"accounts": trees_of(*after)})]


def test_nunects_own_part_does_not_drown_what_a_person_changed():
    assert words([AccountSpec("A")], [keeping("A")]) == ["account `A` may now use JetStream"]
    assert words([keeping("A")], [AccountSpec("A")]) == ["account `A` may no longer use JetStream"]
    assert words([], [keeping("A")]) == ["account `A` is added"]
    assert words([keeping("A")], []) == ["account `A` is removed"]


def test_the_switch_is_said_in_one_line():
    hidden = keeping("A", jetstream_control=False)
    assert words([hidden], [keeping("A")]) == ["nunect now sees the streams of account `A`"]
    assert words([keeping("A")], [hidden]) == ["nunect no longer sees the streams of account `A`"]


def test_an_upgrade_says_the_new_account_and_whose_streams_it_sees():
    old = {name: tree for name, tree in trees_of(keeping("A", jetstream_control=False)).items() if name != "$NUNECT"}
    told = [str(change) for change in diff({"accounts": old}, {"accounts": trees_of(keeping("A"))})]
    assert told == [
        "nunect's own account `$NUNECT`, by which it sees the streams of others, is added",
        "nunect now sees the streams of account `A`",
    ]


def test_an_offer_to_others_is_told_without_nunect():
    offered = keeping("A", exports=(ExportSpec("service", API, ("B",)),))
    assert words([keeping("A"), AccountSpec("B")], [offered, AccountSpec("B")]) == [
        f"account `A` now exports service `{API}` to `B`"
    ]


def test_what_a_hand_puts_into_it_is_told():
    ours = {"accounts": trees_of(keeping("A"))}
    control = ours["accounts"]["$NUNECT"]
    stranger = {"user": "eve", "password": bcrypt_like(1)}
    taken = {"stream": {"account": "A", "subject": "pay.>"}}
    theirs = {**control, "users": [*control["users"], stranger], "imports": [*control["imports"], taken]}
    told = diff(ours, {"accounts": {**ours["accounts"], "$NUNECT": theirs}})
    assert [str(change) for change in told] == [
        "user `eve` of account `$NUNECT` is added",
        "account `$NUNECT` now imports stream `pay.>` from account `A`",
    ]
    blind = {**ours["accounts"], "$NUNECT": {"users": control["users"]}}
    assert [str(change) for change in diff(ours, {"accounts": blind})] == [
        "what nunect's own account `$NUNECT` sees changes"
    ]


# The ways in and out


def test_a_conf_by_nunect_comes_back_without_its_own_part():
    api = ExportSpec("service", API, ("B",))
    accounts = (keeping("A", exports=(api,)), keeping("B", jetstream_control=False), keeping("C"), AccountSpec("D"))
    reading = read_accounts(parse(text_of(*accounts)), own=IDENTITY.nkeys)
    assert reading.control
    found = {spec.name: spec for spec in reading.accounts}
    assert found.keys() == {"$SYS", "A", "B", "C", "D"}
    assert found["A"] == accounts[0]
    assert (found["B"].jetstream_control, found["C"].jetstream_control) == (False, True)
    assert found["C"].exports == ()
    assert {note.verdict for note in reading.notes} <= {"taken", "left"}
    assert not [note for note in reading.notes if "$NUNECT" in note.path]


def test_whoever_else_stands_in_it_is_told_and_left_out():
    trees = trees_of(keeping("A"))
    trees["$NUNECT"] = {**trees["$NUNECT"], "users": [*trees["$NUNECT"]["users"], {"nkey": key(77)}]}
    reading = read_accounts(parse(emit.emit({"accounts": trees})), own=IDENTITY.nkeys)
    assert [note.verdict for note in reading.notes if "$NUNECT" in note.path] == ["refused"]
    assert "$NUNECT" not in {spec.name for spec in reading.accounts}


def test_a_foreign_conf_says_nothing_of_it():
    assert not read_accounts(parse("accounts { A { jetstream: true } }")).control


def test_documents_and_revisions_keep_the_switch():
    hidden = keeping("A", jetstream_control=False)
    written = write_document([hidden, keeping("B")])
    assert [account.get("jetstream_control") for account in written["accounts"]] == [False, None]
    assert read_document(written).accounts == (hidden, keeping("B"))
    assert spec_from_json(spec_to_json(hidden)) == hidden


# A real server


@pytest.fixture
def signer():
    return Ed25519PrivateKey.from_private_bytes(bytes([4]) * 32)


def test_its_user_reaches_jetstream_of_who_shows_it_and_nothing_else(nats_node, signer, tmp_path):
    raw = signer.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    identity = replace(IDENTITY, jetstream=nkeys.encode_public("U", raw))
    accounts = (keeping("A"), keeping("B", jetstream_control=False))
    text = render.assemble(render.render_snapshot(Snapshot(identity, accounts)), 5).text
    main = f'jetstream {{ store_dir: "{tmp_path}/js", max_mem: 1M, max_file: 1M }}\n{GUARD}include "accounts.conf"\n'
    node = nats_node(main, {"accounts.conf": text})
    client = node.connect(nkey=identity.jetstream, signer=signer).subscribe("_INBOX_jetstream.1")

    def asked(subject):
        client.socket.sendall(f"PUB {subject} _INBOX_jetstream.1 0\r\n\r\n".encode())
        line = client._line()
        return client.file.read(int(re.search(r" (\d+)$", line)[1]) + 2)

    assert b"stream_list_response" in asked("JSACC.A.STREAM.LIST")
    assert b"503" in asked("JSACC.B.STREAM.LIST")
    assert client.may_subscribe("JSEV.>")
    for subject in (">", "JSACC.>", "$SYS.>", "$JS.>", "_INBOX.>", "_INBOX_relay.>"):
        assert not client.may_subscribe(subject), subject
    for subject in ("orders", "$JS.API.STREAM.LIST", "$SYS.REQ.SERVER.PING", "JSEV.A.ADVISORY.X", "_INBOX_jetstream.1"):
        assert not client.may_publish(subject), subject
