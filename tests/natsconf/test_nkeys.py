"""nkeys as text: the codec, and that a secret is never repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts_app.natsconf import nkeys
from accounts_app.natsconf.subjects import InvalidValue

SEEDS = st.binary(min_size=32, max_size=32)


@given(SEEDS, st.sampled_from("OAUNCX"))
def test_keys_come_back(raw, kind):
    text = nkeys.encode_public(kind, raw)
    assert text[0] == kind
    assert len(text) == 56
    assert nkeys.decode_public(text, kind) == raw
    seed = nkeys.encode_seed(kind, raw)
    assert seed[:2] == "S" + kind
    assert nkeys.decode_seed(seed) == (kind, raw)


@given(SEEDS, st.integers(0, 55), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_one_wrong_character_is_noticed(raw, place, char):
    text = nkeys.encode_public("U", raw)
    wrong = text[:place] + char + text[place + 1 :]
    if wrong != text:
        with pytest.raises(InvalidValue):
            nkeys.decode_public(wrong)


def test_a_pasted_seed_is_told_and_never_repeated():
    seed = nkeys.encode_seed("U", bytes(range(32)))
    for text in (seed, f" {seed}\n", seed.lower(), f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END"):
        with pytest.raises(InvalidValue, match="secret seed") as wrong:
            nkeys.decode_public(text)
        assert seed[5:] not in str(wrong.value).upper()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is empty"),
        ("U" * 55, "55 characters"),
        ("U" * 56, "typing mistake"),
        (nkeys.encode_public("A", bytes(32)), "is the key of an account"),
        ("u" * 56, "other than A-Z and 2-7"),
        ("UAAA ", "blank"),
    ],
)
def test_what_is_wrong_is_said(text, part):
    with pytest.raises(InvalidValue, match=part):
        nkeys.decode_public(text)


def test_a_bad_seed_is_not_repeated():
    seed = nkeys.encode_seed("U", bytes(32))
    wrong_seed = seed[:-1] + ("A" if seed[-1] != "A" else "B")
    with pytest.raises(InvalidValue) as wrong:
        nkeys.decode_seed(wrong_seed)
    assert wrong_seed not in str(wrong.value)
