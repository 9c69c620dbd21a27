"""A text field that is ciphertext in the database."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import models

PREFIX = "enc1$"


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise ImproperlyConfigured("NUNECT_ENCRYPTION_KEYS is empty: set it, or start with `make up`, which makes one.")
    return MultiFernet([Fernet(key) for key in keys])


class EncryptedTextField(models.TextField):
    """Text sealed with NUNECT_ENCRYPTION_KEYS (newest first); `None` and "" stay as they are.

    Re-saving a row seals it with the newest key. A value that no key opens, or that was never
    sealed, raises ImproperlyConfigured rather than coming back as it is.
    """

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        if not value:
            return value
        if not value.startswith(PREFIX):
            raise ImproperlyConfigured(f"{self.name} holds a value that is not encrypted.")
        try:
            return _box(tuple(settings.NUNECT_ENCRYPTION_KEYS)).decrypt(value[len(PREFIX) :].encode()).decode()
        except InvalidToken:
            raise ImproperlyConfigured(
                f"{self.name} was encrypted with a key that is not in NUNECT_ENCRYPTION_KEYS."
            ) from None

    def get_prep_value(self, value: str | None) -> str | None:
        if not value:
            return value
        return PREFIX + _box(tuple(settings.NUNECT_ENCRYPTION_KEYS)).encrypt(str(value).encode()).decode()

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is encrypted and can't be searched.")
        return super().get_lookup(lookup_name)
