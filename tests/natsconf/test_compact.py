"""Compact is only an encoding: whatever it does, expand undoes."""

from hypothesis import HealthCheck, given, settings
from spec_strategies import snapshots

from accounts_app.natsconf import render
from accounts_app.natsconf.compact import compact, expand

OPEN = {"publish": {"allow": [">"]}, "subscribe": {"allow": [">"]}}
BLOCK = {"publish": {"allow": ["a"]}, "subscribe": {"deny": [">"]}}
ONE_SIDED = {"publish": {"allow": ["b"]}}


@given(snapshots())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_expand_undoes_compact(snapshot):
    for account in snapshot.accounts:
        if account.enabled:
            tree = render.account_tree(account, snapshot.roles, snapshot.identity)
            assert expand(compact(tree)) == expand(tree)
            if "default_permissions" not in tree:
                assert expand(compact(tree)) == tree
            assert compact(compact(tree)) == compact(tree)


def test_what_most_users_share_is_written_once():
    tree = {"users": [{"user": "a", "permissions": BLOCK}, {"user": "b", "permissions": BLOCK}, {"user": "c"}]}
    assert compact(tree) == {
        "default_permissions": BLOCK,
        "users": [{"user": "a"}, {"user": "b"}, {"user": "c", "permissions": OPEN}],
    }
    assert expand(compact(tree)) == tree


def test_few_users_in_common_stay_as_they_are():
    for users in (
        [{"user": "a", "permissions": BLOCK}],
        [{"user": "a", "permissions": BLOCK}, {"user": "b"}],
        [
            {"user": "a", "permissions": BLOCK},
            {"user": "b", "permissions": BLOCK},
            {"user": "c"},
            {"user": "d"},
        ],
    ):
        assert compact({"users": users}) == {"users": users}


def test_an_own_default_is_kept_and_not_repeated():
    tree = {"default_permissions": BLOCK, "users": [{"user": "a", "permissions": BLOCK}, {"user": "b"}]}
    assert compact(tree) == {"default_permissions": BLOCK, "users": [{"user": "a"}, {"user": "b"}]}


def test_a_block_of_ones_own_keeps_the_default_away():
    users = [{"user": "a", "permissions": ONE_SIDED}, {"user": "b", "Permission": {}}, {"user": "c"}]
    assert expand({"default_permissions": BLOCK, "users": users}) == {
        "users": [*users[:2], {"user": "c", "permissions": BLOCK}]
    }


def test_other_spellings_are_understood():
    assert expand({"Users": [{"user": "a"}], "Default_Permissions": BLOCK}) == {
        "Users": [{"user": "a", "permissions": BLOCK}]
    }
    assert expand({"users": [{"user": "a"}], "permissions": BLOCK}) == {"users": [{"user": "a", "permissions": BLOCK}]}
