"""Examples of what is asked about backups."""

from __future__ import annotations

from typing import Any

_KEPT = {
    "name": "nunect-20270131-031700.backup",
    "made_at": "2027-01-31T03:17:00Z",
    "bytes": 712004,
    "sealed": True,
    "by": "nunect itself",
}
ANSWERS: dict[str, Any] = {
    "backups_list_kept": {"every_hours": 24.0, "keep": 14, "problem": "", "results": [_KEPT]},
    "backups_make": _KEPT,
    "backups_download": "",  # bytes
}
