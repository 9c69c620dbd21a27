"""Lists as CSV, for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from rest_framework.renderers import BaseRenderer, JSONRenderer

from accounts_app.api.problems import MEDIA_TYPE
from accounts_app.sheets import harmless


class ProblemRenderer(JSONRenderer):
    """JSON under the name of a problem, so that whoever accepts only that is understood."""

    media_type = MEDIA_TYPE
    format = "problem"


class CsvRenderer(BaseRenderer):
    """One line for each row, nested values as JSON; no cell can be taken for a formula."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        response = (renderer_context or {}).get("response")
        if not isinstance(data, dict) or "results" not in data:
            if response is not None:
                response.content_type = MEDIA_TYPE if response.status_code >= 400 else "application/json"
                response["Content-Type"] = response.content_type
            return bytes(JSONRenderer().render(data))
        rows = data["results"]
        if response is not None and data.get("next"):
            response["Link"] = f'<{data["next"]}>; rel="next"'
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(rows[0] if rows else [])
        writer.writerows([[_cell(value) for value in row.values()] for row in rows])
        return out.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)
    return text if isinstance(value, int) else harmless(text)
