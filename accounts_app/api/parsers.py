"""Bodies of requests: JSON, and no more of it than this server takes."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from accounts_app.api.problems import TooLarge
from accounts_app.documents_text import once


class JsonParser(BaseParser):
    """Strict JSON of API_MAX_BYTES at most, read before anything of it is understood."""

    media_type = "application/json"

    @property
    def most(self) -> int:
        """Bytes of a body."""
        return int(settings.API_MAX_BYTES)

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        most = self.most
        data = stream.read(most + 1)
        if len(data) > most:
            raise TooLarge(f"The body is larger than the {most:,} bytes that this server takes.")
        try:
            return json.loads(data.decode(), object_pairs_hook=once, parse_constant=_refuse)
        except UnicodeDecodeError:
            raise ParseError("The body is no UTF-8 text.") from None
        except json.JSONDecodeError as error:
            raise ParseError(f"The body is no JSON: line {error.lineno}, column {error.colno}: {error.msg}.") from None
        except ValueError as error:  # a constant, a key that stands there twice, a number of thousands of digits
            raise ParseError(f"The body is no JSON: {str(error).rstrip('.')}.") from None
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None


class SmallJsonParser(JsonParser):
    """For what strangers may send."""

    most = 4096


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")
