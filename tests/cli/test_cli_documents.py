"""Reading documents: what they say together, and where each place stands."""

import json

import pytest

from nunect.cli import documents
from nunect.cli.client import Failure, Refused


def read(tmp_path, *texts, suffix="yaml"):
    names = []
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.{suffix}"
        path.write_text(text)
        names.append(str(path))
    return documents.read(names)


def refused(wanted, *places):
    problem = {"errors": [{"field": name, "detail": "No."} for name in places]}
    return [sentence.rpartition("/")[2] for sentence in wanted.failure(Refused(422, problem)).sentences]


@pytest.mark.parametrize(
    "text, said",
    [
        ("accounts:\n  - name: A\n   users: []\n", "line 3, column 4"),
        ("accounts: []\nroles: []\naccounts: []\n", "line 3, column 1: “accounts” stands there twice"),
        ("accounts: [!!python/object:os.system {}]", "line 1, column 12"),
        ("a: &a [*a]\nb: \x07", "control characters"),
        ("? [a]\n: b", "a key must be text"),
        ("- just a list", "must be a map with “accounts” or “roles”"),
        ("", "There is no document"),
        ("# a comment\n---\n", "There is no document"),
    ],
)
def test_what_is_no_document_is_told_with_its_place(tmp_path, text, said):
    with pytest.raises(Failure) as told:
        read(tmp_path, text)
    assert said in str(told.value)


@pytest.mark.parametrize(
    "text, said",
    [
        ('{"accounts": [}', "line 1, column 15"),
        ('{"accounts": [],\n "accounts": []}', "“accounts” stands there twice"),
        ('{"accounts": [NaN]}', "NaN is no number"),
    ],
)
def test_json_is_told_its_place_too(tmp_path, text, said):
    with pytest.raises(Failure) as told:
        read(tmp_path, text, suffix="json")
    assert said in str(told.value)


def test_several_documents_and_files_are_one(tmp_path):
    wanted = read(tmp_path, "accounts: [{name: A}]\n---\naccounts: [{name: B}]\n---\n", "roles: [{name: r}]")
    assert wanted.data == {"accounts": [{"name": "A"}, {"name": "B"}], "roles": [{"name": "r"}]}


def test_a_folder_is_all_documents_in_it(tmp_path):
    (tmp_path / "b.json").write_text('{"accounts": [{"name": "B"}]}')
    (tmp_path / "a.yml").write_text("accounts: [{name: A}]")
    (tmp_path / "notes.txt").write_text(": no document :")
    assert [each["name"] for each in documents.read([str(tmp_path)]).data["accounts"]] == ["A", "B"]


def test_documents_for_two_systems_are_refused(tmp_path):
    with pytest.raises(Failure, match="apply one after the other"):
        read(tmp_path, "system: a\naccounts: []\n---\nsystem: b\naccounts: []\n")


def test_what_is_refused_is_told_with_file_and_line(tmp_path):
    wanted = read(
        tmp_path,
        "accounts:\n  - name: A\n    users: []\n---\naccounts:\n  - name: B\n  - name: C\n    users:\n      - nam: x\n",
        'accounts: [{"name": "D",\n "colour": "red"}]',
    )
    assert refused(wanted, "accounts[2].users[0].nam", "accounts[3].colour", "accounts[1].name", "", "other thing") == [
        "0.yaml:9: accounts[1].users[0].nam: No.",
        "1.yaml:2: accounts[0].colour: No.",
        "0.yaml:6: accounts[0].name: No.",
        "No.",
        "other thing: No.",
    ]


def test_dates_and_yaml_s_old_words_for_yes_stay_text(tmp_path):
    said = read(tmp_path, "accounts: [{name: NO, description: 2027-01-31, owner: 2027-01-31T12:00:00Z, a: 0123}]")
    told = {"name": "NO", "description": "2027-01-31", "owner": "2027-01-31T12:00:00Z", "a": "0123"}
    assert said.data == {"accounts": [told]}


@pytest.mark.parametrize(
    "name", ["plain", "yes", "1.5", "null", "日本語", "a\u202eb", "bell\x07", "- x: y", "#", "é", ">"]
)
def test_what_is_written_is_read_back(tmp_path, name):
    data = {"accounts": [{"name": name, "enabled": False, "max_connections": 5, "description": "two\nlines"}]}
    text = documents.written(data)
    assert text.replace("\n", "").isprintable()
    assert read(tmp_path, text).data == data


@pytest.mark.parametrize(
    "text, value",
    [
        ("true", True), ("null", None), ("5", 5), ("007", "007"), ("[a, b]", ["a", "b"]), ("{x: 1}", {"x": 1}),
        ("*.x", "*.x"), (">", ">"), ("yes", "yes"), ('"true"', "true"), ("2027-01-31", "2027-01-31"), ("", ""),
        ("a: b", "a: b"),
    ],
)  # fmt: skip
def test_a_value_is_text_unless_it_looks_like_something_else(text, value):
    assert documents.value(text) == value


def test_a_value_that_can_t_be_read_names_its_column():
    with pytest.raises(Failure, match="at column"):
        documents.value("[a, ")


def test_a_large_json_document_is_read_as_it_is(tmp_path):
    data = {"accounts": [{"name": f"A{number}", "users": []} for number in range(1000)]}
    assert read(tmp_path, json.dumps(data), suffix="json").data == data
