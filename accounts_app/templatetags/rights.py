"""What a page offers: `{% if user|may:"view provisioning.hold" %}` asks where every act is judged."""

from __future__ import annotations

from typing import Any

from django import template
from django.apps import apps

from accounts_app import access

register = template.Library()


@register.filter
def may(person: Any, asked: str) -> bool:
    """Whether a person may do an act to a model's rows. asked: "ACT APP.MODEL"."""
    act, _, model = asked.partition(" ")
    return access.may(person, act, apps.get_model(model))  # type: ignore[arg-type]
