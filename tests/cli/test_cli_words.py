"""What a person reads: tables, colours, typos, help."""

import subprocess
import sys

import click
import pytest

from nunect.cli import output
from nunect.cli.durations import Duration
from nunect.cli.writing import show_preview
from tests.whole.product import ROOT


@pytest.mark.parametrize(
    "text, shown",
    [
        ("svc", "svc"),
        ("日本語", "日本語"),
        ("red\x1b[31m", "red\\x1b[31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\x9b2J", "\\x9b2J"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_nothing_in_a_name_moves_the_terminal(text, shown):
    assert output.plain(text) == shown


def test_wide_names_leave_the_columns_straight(capsys):
    output.table([{"name": "日本", "id": 1}, {"name": "cafe\u0301", "id": 22}], ("name", "id"))
    lines = capsys.readouterr().out.splitlines()
    assert [output.columns_of(line) for line in lines] == [8, 8, 8]


def test_what_stays_is_no_gain(capsys):
    changes = [
        {"account": "ACME", "text": "Stream “NEW” of account “ACME” is deleted.", "removes_access": True},
        {"account": "ACME", "text": "account `ACME` is added", "removes_access": False},
        {"account": "ACME", "text": "Stream “OLD” of account “ACME” stays.", "removes_access": False, "stays": True},
    ]
    show_preview({"changes": changes})
    assert capsys.readouterr().out.splitlines() == [
        "Takes away (1):",
        "  - Stream “NEW” of account “ACME” is deleted.",
        "Changes (1):",
        "  + account `ACME` is added",
        "Stays (1):",
        "  = Stream “OLD” of account “ACME” stays.",
    ]


def test_what_has_no_limit_says_so(capsys):
    output.details({"max_age": "0s", "max_bytes": -1, "max_msgs": 7, "ack_wait": "30s"})
    told = [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()]
    assert told == ["no limit", "no limit", "7", "30s"]


def test_json_for_a_program_escapes_what_would_move_the_terminal(capsys):
    output.print_json({"name": "a\x9bb", "other": "é"})
    assert "a\\u009bb" in capsys.readouterr().out


@pytest.mark.parametrize(
    "typed, said",
    [
        (["aply"], "There is no command “aply”; did you mean apply?"),
        (["user", "rotat", "x"], "There is no command “rotat”; did you mean rotate?"),
        (["list", "usrs"], "There is no resource “usrs”; did you mean users?"),
        (["list", "users", "acount=A"], "There is no filter of users “acount”; did you mean account?"),
        (["list", "users", "account"], "“account” is not like KEY=VALUE."),
        (["provision"], "Missing argument"),
        (["job", "rollback", "1"], "did you mean roll-back?"),
        (["token", "create", "x", "--expires", "soon"], "“soon” is no length of time"),
        (["delete", "audit", "1"], "can't be deleted"),
        (["get"], "Missing argument"),
        (["plan"], "Say which document"),
        (["plan", "-f", "nowhere.yaml"], "nowhere.yaml can't be read: No such file or directory."),
    ],
)
def test_what_is_typed_wrongly_is_answered_in_a_sentence(nunect, typed, said):
    answer = nunect(*typed)
    assert answer.exit_code == 1
    assert answer.stdout == ""
    assert answer.stderr.startswith("nunect: ")
    assert said in answer.stderr


def test_without_a_command_the_help_names_all_of_them(nunect):
    answer = nunect()
    assert answer.exit_code == 0
    for word in ("plan", "apply", "revert", "doctor", "enforce", "import", "up"):
        assert f"  {word} " in answer.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_a_shell(nunect, shell):
    answer = nunect("completion", shell)
    assert answer.exit_code == 0
    assert "_NUNECT_COMPLETE" in answer.stdout


@pytest.mark.parametrize(
    "typed, offered",
    [
        ("nunect app", {"apply"}),
        ("nunect list us", {"users"}),
        ("nunect create re", set()),
        ("nunect list users cred", {"credential="}),
        ("nunect user r", {"rotate"}),
    ],
)
def test_tab_offers_commands_resources_and_filters(alone, typed, offered):
    from click.shell_completion import BashComplete

    from nunect.cli.app import app

    words = typed.split()
    found = BashComplete(app, {}, "nunect", "_NUNECT_COMPLETE").get_completions(words[1:-1], words[-1])
    assert {each.value for each in found} == offered


def test_up_waits_for_no_click_and_no_yaml():
    code = (
        "import sys, nunect.cli; from nunect.cli import django_commands; "
        "assert not {'click', 'yaml', 'django', 'nunect.cli.app'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("text, seconds", [("90d", 7_776_000), ("24h", 86_400), ("1h30m", 5400), ("2w", 1_209_600)])
def test_lengths_of_time_are_read_as_people_write_them(text, seconds):
    assert Duration().convert(text, None, None).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "90", "d", "1.5h", "-1d", "1y"])
def test_what_is_no_length_of_time_is_refused(text):
    with pytest.raises(click.UsageError):
        Duration().convert(text, None, None)
