"""What a person sees of a conf holds no secret, wherever it stands, and all the rest as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts_app.natsconf.errors import ConfSyntaxError
from accounts_app.natsconf.hiding import find_secrets, hidden, hidden_reason
from accounts_app.natsconf.parse import parse

HASH = "$2a$04$iR44aW1u.3Pz7v/l2/gDT.SglMK4Y6sH.KzMod9jZlq.C2fBIipQK"
SEED = "SU" + "A" * 56


def seen(*texts):
    secrets = find_secrets(texts)
    return "\n".join(hidden(text, secrets, "…") for text in texts)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('a { user: joe, password: "hunter two" }', 'a { user: joe, password: "…" }'),
        ("a { user: joe, pass: hunter2 } # x", "a { user: joe, pass: … } # x"),
        ("authorization { token = 'hunter2' }\nport: 4222", "authorization { token = '…' }\nport: 4222"),
        ("password: 12345\nport: 1", "password: …\nport: 1"),
        ('jetstream { key: "hunter2", cipher: aes }', 'jetstream { key: "…", cipher: aes }'),
        ("jetstream { prev_ek: hunter2 }", "jetstream { prev_ek: … }"),
        ("tpm { srk_password: hunter2, pcr: 22 }", "tpm { srk_password: …, pcr: 22 }"),
        (f"x: '{HASH}'", "x: '…'"),
        (f"# seed {SEED}\nport: 1", "# seed …\nport: 1"),
        ('r: ["nats://joe:hunter2@h:1", "nats://h:2"]', 'r: ["nats://…@h:1", "nats://h:2"]'),
        ('PW = "hunter2"\na { password: $PW }', 'PW = "…"\na { password: $PW }'),
        ("A = hunter2\nB = $A\na { token: $B }", "A = …\nB = $A\na { token: $B }"),
        ("a { password: hunter2 }\n# was hunter2 before", "a { password: … }\n# was … before"),
        ('# { user: old, password: "old one" }\nport: 1', "# { user: old, password: … }\nport: 1"),
        ("// token=hunter2\nport: 1", "// token=…\nport: 1"),
        ("password: [hunter2, {a: hunter3}]\nport: 1", "password: […, {a: …}]\nport: 1"),
        ('password: "a\\tb"\nport: 1', 'password: "…"\nport: 1'),
        ("password: (\nhunter2\n)\nport: 1", "password: …\nport: 1"),
        ('{"users": [{"user": "joe", "password": "hunter2"}]}', '{"users": [{"user": "joe", "password": "…"}]}'),
    ],
)
def test_secrets_are_masked_and_nothing_else(text, shown):
    assert seen(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "tls { key_file: './key.pem', cert_file: './cert.pem' }",
        "websocket { jwt_cookie: name }",
        "a { users: [ { nkey: UABC } ] } # who may",
        'x: "http://h#no comment: y"',
        "# a token is no longer taken here\nport: 4222",
        "mappings { token.a: b }",
    ],
)
def test_what_is_no_secret_stays(text):
    assert seen(text) == text


def test_a_variable_of_another_file_is_a_secret_there():
    assert seen("include 'b.conf'\na { password: $PW }", 'PW: "hunter2" # hunter2') == (
        "include 'b.conf'\na { password: $PW }\nPW: \"…\" # …"
    )


def test_a_text_that_cant_be_read_is_masked_by_its_looks():
    assert seen('a { password: "hunter2"') == "a { password: …"
    assert "hunter2" not in seen("a: }\npassword = hunter2")


@pytest.mark.parametrize("value", ["2026-hunter-two-three-four", "123456789012345678901234", "1.5.hunter", '"hunter'])
def test_why_a_text_cant_be_read_tells_no_secret(value):
    line = f"a {{ user: joe, password: {value} }}"
    with pytest.raises(ConfSyntaxError) as refused:
        parse(f"port: 1\n{line}\nb: }}\n")
    assert value[:15].strip('"') not in hidden_reason(refused.value.reason, line, "…")


@given(st.text("abcXYZ019-_", min_size=5, max_size=12), st.sampled_from(["{}", '"{}"', "'{}'"]), st.text(max_size=40))
def test_no_password_is_left_whatever_stands_around_it(secret, spelled, around):
    secret = f"Zq{secret}"
    text = f"a {{ user: joe, password: {spelled.format(secret)} }}\n# {around}".replace("\x00", "")
    assert secret not in hidden(text, find_secrets([text]), "…")
