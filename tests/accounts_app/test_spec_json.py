"""What a revision keeps of the rows comes back exactly."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts_app.natsconf.spec_json import UnknownVersion, spec_from_json, spec_to_json
from accounts_app.natsconf.specs import (
    AccountSpec,
    DestinationSpec,
    ExportSpec,
    ImportSpec,
    JetStreamSpec,
    LimitsSpec,
    MappingSpec,
    ResponseSpec,
    RoleSpec,
    RuleSpec,
    SecretSpec,
    UserSpec,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
number = st.none() | st.integers(-1, 2**63 - 1)
flag = st.none() | st.booleans()
kind = st.sampled_from(["stream", "service"])


def some(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


rules = some(
    st.builds(RuleSpec, st.sampled_from(["publish", "subscribe"]), st.sampled_from(["allow", "deny"]), text, text)
)
responses = st.none() | st.builds(ResponseSpec, st.integers(-1, 9), text)
secrets = st.builds(SecretSpec, st.sampled_from(["password", "nkey", "certificate", "none"]), text, st.booleans())
users = st.builds(
    UserSpec,
    text,
    secrets,
    st.sampled_from(["inherit", "all", "role", "own"]),
    text,
    rules,
    responses,
    some(text),
    st.booleans(),
    st.none() | secrets,
    text,
    text,
)
accounts = st.builds(
    AccountSpec,
    text,
    some(users),
    some(st.builds(RoleSpec, text, rules, responses, some(text), text)),
    text,
    st.builds(LimitsSpec, number, number, number, number),
    st.none() | st.builds(JetStreamSpec, *[number] * 7, flag, text),
    some(st.builds(ExportSpec, kind, text, st.none() | some(text), number, text, text, text, text, flag)),
    some(st.builds(ImportSpec, kind, text, text, text, text, flag, flag)),
    some(st.builds(MappingSpec, text, some(st.builds(DestinationSpec, text, st.integers(1, 100), text)))),
    st.booleans(),
    text,
)


@settings(max_examples=300)
@given(accounts)
def test_there_and_back(spec):
    assert spec_from_json(spec_to_json(spec)) == spec


@given(accounts)
def test_it_is_compact_json_that_says_its_version(spec):
    told = spec_to_json(spec)
    assert json.loads(told)["v"] == 1
    assert told == json.dumps(json.loads(told), ensure_ascii=False, separators=(",", ":"))


def test_what_differs_by_type_only_stays_apart():
    public, private = (AccountSpec("A", exports=(ExportSpec("stream", "x", who),)) for who in (None, ()))
    assert spec_from_json(spec_to_json(public)) != spec_from_json(spec_to_json(private))
    unset, no = (AccountSpec("A", jetstream=JetStreamSpec(max_bytes_required=each)) for each in (None, False))
    assert spec_from_json(spec_to_json(no)).jetstream.max_bytes_required is False
    assert spec_from_json(spec_to_json(unset)).jetstream == JetStreamSpec()
    assert spec_from_json(spec_to_json(AccountSpec("A"))).jetstream is None


def test_defaults_take_no_room():
    assert len(spec_to_json(AccountSpec("A"))) < 40


@pytest.mark.parametrize("told", ['{"v":2,"account":{}}', '{"account":{}}', '{"v":1,"account":{"new":1}}', "[]", "{"])
def test_what_another_nunect_wrote_is_refused(told):
    with pytest.raises(UnknownVersion):
        spec_from_json(told)
