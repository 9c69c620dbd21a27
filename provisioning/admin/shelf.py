"""Where the pages of this room stand: blueprints and jobs under “Apps”, what they lead to under “Changes”."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.utils.translation import gettext_lazy as _


class Shelved:
    """The options of a model, whose pages are headed by “Apps” as in the sidebar."""

    app_config = SimpleNamespace(verbose_name=_("Apps"))

    def __init__(self, opts: Any) -> None:
        self._opts = opts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opts, name)
