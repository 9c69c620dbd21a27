"""Sentences on pages: what people write in NATS's words stands as code."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def sentence(text: Any) -> SafeString:
    """A sentence whose `names` stand between backticks."""
    parts = str(text or "").split("`")
    last = len(parts) - 1
    shaped = (("<code>{}</code>" if at % 2 and at < last else "{}", part) for at, part in enumerate(parts))
    return format_html_join("", "{}", ((format_html(shape, part),) for shape, part in shaped))
