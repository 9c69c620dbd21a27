"""The same request twice is done once: what was answered under an Idempotency-Key, sealed."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import IntegrityError, transaction
from rest_framework.utils.encoders import JSONEncoder

from accounts_app.api.problems import Conflict, Invalid
from accounts_app.door import LOCAL
from accounts_app.models import Answer


class Seal:
    """Keeps the answer under the caller's Idempotency-Key, readable with that key and credential alone."""

    def __init__(self, request: Any) -> None:
        self.key = request.headers.get("Idempotency-Key", "")
        if not self.key:
            return
        if len(self.key) > 200:
            raise Invalid("Idempotency-Key", "This has 200 characters at most.")
        secret = request.headers.get("Authorization", "") or request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        if request.META.get(LOCAL) is True:
            secret = "local"  # noqa: S105
        self.caller = _hash("caller", secret)
        self.hashed = _hash("key", self.key)
        self.request = _hash(request.method, request.get_full_path(), json.dumps(request.data, sort_keys=True))
        sealed = hashlib.sha256(f"{settings.SECRET_KEY}\n{secret}\n{self.key}".encode("utf-8", "surrogatepass"))
        self.box = Fernet(base64.urlsafe_b64encode(sealed.digest()))

    def reserve(self) -> tuple[int, dict[str, Any], dict[str, int]] | None:
        """The answer that was given already; None when this is the first time, and then the key is taken."""
        if not self.key:
            return None
        try:
            with transaction.atomic():
                Answer.objects.create(caller=self.caller, key=self.hashed, request=self.request, status=0, body=b"")
        except IntegrityError:
            return self.answered()
        return None

    def answered(self) -> tuple[int, dict[str, Any], dict[str, int]] | None:
        """The answer that was given already, if any; the key is not taken."""
        kept = Answer.objects.filter(caller=self.caller, key=self.hashed).first() if self.key else None
        if kept is None:
            return None
        if kept.request != self.request:
            raise Invalid("Idempotency-Key", "This key came with another request before: use a new one.")
        if not kept.status:
            raise Conflict("What came with this key is under way, or was cut short: look what became of it.")
        try:
            told = json.loads(self.box.decrypt(bytes(kept.body)))
        except InvalidToken:
            raise Invalid("Idempotency-Key", "What was answered under this key can't be opened any more.") from None
        return kept.status, told["body"], told["targets"]

    def give_back(self) -> None:
        """Let the key be used again: what came with it failed. Only where the act isn't one transaction with it."""
        if self.key:
            Answer.objects.filter(caller=self.caller, key=self.hashed, status=0).delete()

    def keep(self, status: int, body: dict[str, Any], targets: dict[str, int]) -> None:
        """Remember the answer; the first time in the transaction of the act itself."""
        if self.key:
            told = json.dumps({"body": body, "targets": targets}, cls=JSONEncoder)
            sealed = self.box.encrypt(told.encode("utf-8", "surrogatepass"))
            Answer.objects.filter(caller=self.caller, key=self.hashed).update(status=status, body=sealed)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
