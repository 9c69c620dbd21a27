"""What templates of the live pages say in words: units, sentences with names in them, chips, events."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts_app import units

register = template.Library()
register.filter("count", units.count)
register.filter("rate", units.rate)
register.filter("size", units.size)
register.filter("size_rate", units.size_rate)
register.filter("percent", units.percent)
register.filter("share", units.share)
register.filter("when", units.when)

EVENTS: dict[str, tuple[str, Any]] = {  # kind: (icon, word); as in static/monitoring/feed.js
    "connect": ("login", _("Connects")),
    "disconnect": ("logout", _("Disconnects")),
    "auth_error": ("gpp_bad", _("Refusals")),
    "advisory": ("database", _("JetStream")),
    "server": ("dns", _("Servers")),
    "reload": ("autorenew", _("Reloads")),
    "revision": ("flag", _("Revisions")),
    "drift": ("difference", _("Drift")),
}
_CHIPS = {  # states that only a server's picture has; as in static/monitoring/dom.js
    "reloading": ("autorenew", _("reloading")),
    "lame_duck": ("logout", _("shutting down")),
}


@register.filter
def state_chip(state: Any) -> SafeString:
    """The chip of a server's state."""
    from accounts_app.admin import chips  # loads the admin, which loads every library of tags first

    name = str(state)
    if name not in _CHIPS:
        return chips.chip(name)
    symbol, word = _CHIPS[name]
    return format_html(
        '<span class="nu-chip nu-{}"><span class="material-symbols-outlined" aria-hidden="true">{}</span>'
        '<span class="nu-word">{}</span></span>',
        name,
        symbol,
        word,
    )


@register.filter
def kind_icon(kind: Any) -> str:
    return EVENTS.get(str(kind), ("info", ""))[0]


@register.filter
def kind_word(kind: Any) -> Any:
    return EVENTS.get(str(kind), ("", kind))[1]


@register.filter
def said(links: Any, word: str) -> bool:
    """Whether a word is among those of a text."""
    return word in str(links).split()
