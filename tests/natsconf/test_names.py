"""Names, secrets, durations and limits: what is possible, and in which words it is refused."""

import pytest

from accounts_app.natsconf import names
from accounts_app.natsconf.names import InvalidValue
from accounts_app.natsconf.specs import JetStreamSpec, LimitsSpec, SecretSpec

HASH = "$2b$04$" + "a" * 53
KEY = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


@pytest.mark.parametrize("name", ["A", "acme-1", "x" * 64, "_"])
def test_account_names(name):
    assert names.check_account_name(name) == name


@pytest.mark.parametrize("name", ["", "$G", "$SYS", "a b", "a.b", "a/b", "..", "*", "é", "x" * 65, "a\n", "a\x00"])
def test_account_names_that_are_refused(name):
    with pytest.raises(InvalidValue):
        names.check_account_name(name)


def test_the_system_account_may_start_with_a_dollar():
    assert names.check_account_name("$SYS", system=True) == "$SYS"
    with pytest.raises(InvalidValue):
        names.check_account_name("$G", system=True)


def test_the_sentence_names_the_character():
    with pytest.raises(InvalidValue) as wrong:
        names.check_account_name("ac me")
    assert str(wrong.value) == 'Account name "ac me" holds " "; letters, digits, "_" and "-" are possible.'


@pytest.mark.parametrize("name", ["a", "a b", "ann@acme", "日本", "\"'\\", "$2x", "a\nb", "{}", " a"])
def test_user_names_are_free(name):
    assert names.check_user_name(name) == name


@pytest.mark.parametrize("name", ["", " ", "a\x00", "\ud800", "x" * 257])
def test_user_names_that_are_refused(name):
    with pytest.raises(InvalidValue):
        names.check_user_name(name)


def test_role_names():
    assert names.check_role_name("order reader") == "order reader"
    for name in ("", "*/a", "a/b", " a", "a ", "x" * 65, "a\n"):
        with pytest.raises(InvalidValue):
            names.check_role_name(name)


@pytest.mark.parametrize("text", ["2s", "500ms", "1h30m", "1.5h", ".5s", "2us", "2µs"])
def test_durations(text):
    assert names.check_duration(text) == text


@pytest.mark.parametrize("text", ["", "2", "2 s", "s", "1d", "-2s", "0s", "2s ", "1h-3m", "9999999999h", "٣s"])
def test_durations_that_are_refused(text):
    with pytest.raises(InvalidValue):
        names.check_duration(text)


def test_a_duration_below_zero_can_mean_no_limit():
    assert names.check_duration("-1s", negative=True) == "-1s"


def test_hashes():
    assert names.check_bcrypt(HASH) == HASH
    for text in (
        "",
        "secret",
        HASH + "a",
        HASH[:-1],
        HASH.replace("04", "03"),
        "$2c" + HASH[3:],
        HASH + "\n",
    ):
        with pytest.raises(InvalidValue) as wrong:
            names.check_bcrypt(text)
        assert not text or text not in str(wrong.value)


def test_passwords():
    assert names.check_password("x" * 72)
    for text in ("", "x" * 73, "é" * 37, HASH, "$2a$10$short", "a\x00", "\ud800"):
        with pytest.raises(InvalidValue) as wrong:
            names.check_password(text)
        assert not text or text not in str(wrong.value)


def test_secrets_fit_their_kind():
    for secret in (
        SecretSpec("password", HASH),
        SecretSpec("nkey", KEY),
        SecretSpec("certificate", "CN=a,O=b"),
    ):
        assert names.check_secret(secret) is secret
    assert names.check_secret(SecretSpec("none"))
    for secret in (SecretSpec("password", KEY), SecretSpec("nkey", HASH), SecretSpec("certificate", "")):
        with pytest.raises(InvalidValue):
            names.check_secret(secret)


def test_two_passwords_of_one_name_cannot_overlap():
    with pytest.raises(InvalidValue, match="one password a user name"):
        names.check_retiring("a", SecretSpec("password", HASH), SecretSpec("password", HASH[:-1] + "b"))
    assert names.check_retiring("a", SecretSpec("nkey", KEY), SecretSpec("password", HASH))


def test_connection_types_are_spelled_as_the_server_keeps_them():
    assert names.check_connection_types(["websocket", "STANDARD", "Websocket"]) == ("STANDARD", "WEBSOCKET")
    with pytest.raises(InvalidValue, match='"TCP"'):
        names.check_connection_types(["TCP"])


def test_limits_fit_the_server():
    assert names.check_limits(LimitsSpec(max_payload=-1, max_connections=2**31 - 1))
    for limits in (LimitsSpec(max_payload=2**31), LimitsSpec(max_connections=-2)):
        with pytest.raises(InvalidValue):
            names.check_limits(limits)
    assert names.check_jetstream(JetStreamSpec(max_file=2**40, cluster_traffic="owner"))
    for jetstream in (JetStreamSpec(max_file=2**63), JetStreamSpec(cluster_traffic="both")):
        with pytest.raises(InvalidValue):
            names.check_jetstream(jetstream)


def test_queues_may_hold_wildcards():
    assert names.check_queue("*.prod") == "*.prod"
    with pytest.raises(InvalidValue, match="Queue"):
        names.check_queue("a b")


def test_certificate_identities():
    for text in ("CN=carol,OU=ops,O=Acme", "ann@acme.org", "spiffe://acme/x"):
        assert names.check_certificate_identity(text) == text
    for text in ("", " a", "a\n", "x" * 1025):
        with pytest.raises(InvalidValue):
            names.check_certificate_identity(text)
