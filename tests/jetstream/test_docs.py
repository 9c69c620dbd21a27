"""docs/jetstream.md tells every setting, just as the settings' own table has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accounts_app.jetstream.settings import SETTINGS, Setting
from accounts_app.jetstream.words import duration_text

PAGE = Path(__file__).parents[2] / "docs" / "jetstream.md"
TYPES = {
    "text": "text",
    "texts": "list of texts",
    "whole": "whole number",
    "bytes": "size",
    "duration": "duration",
    "durations": "list of durations",
    "flag": "true or false",
    "time": "time",
    "map": "map of texts",
}


def line(setting):
    """The row of the page's table for a setting."""
    kind = TYPES.get(setting.type) or ", ".join(f"`{each}`" for each in setting.choices)
    if setting.fields:
        many = "list of maps" if setting.type == "objects" else "map"
        kind = f"{many}: {', '.join(f'`{field.name}`' for field in setting.fields)}"
    fixed = " Fixed." if setting.fixed else ""
    about = f"{setting.title}. {setting.help}".strip() + fixed
    return f"| `{setting.name}` | {kind} | {default(setting)} | {about.replace('|', '/')} |"


def default(setting: Setting):
    if setting.default is None or setting.default in ("", [], {}):
        return ""
    if setting.default == -1:
        return "unlimited"
    if setting.type == "duration":
        return duration_text(setting.default) if setting.default else "0"
    return str(setting.default).lower() if isinstance(setting.default, bool) else str(setting.default)


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_page_has_every_setting_in_order(kind):
    found = re.search(rf"<!-- settings: {kind} -->\n\n(.*?)\n(?:\n|$)", PAGE.read_text("utf-8"), re.DOTALL)
    assert found, kind
    assert found[1].splitlines()[2:] == [line(setting) for setting in SETTINGS[kind]]
