"""What people may do about the servers that were seen: let go of one that is gone for good."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts_app.models import Server, record


@transaction.atomic
def forget_server(server: Server) -> None:
    """Let go of a server that is gone for good, so that nobody waits for it any more. One that comes back is known
    again. Raises ValidationError for a server that answers."""
    row = Server.objects.select_for_update().filter(pk=server.pk).first()
    if row is None:
        raise ValidationError(_("It is forgotten already."))
    if row.state != Server.State.UNREACHABLE:
        raise ValidationError(
            _("“%s” answers. Only a server that doesn't can be forgotten; stop it first, and wait for the next look.")
            % row.name
        )
    seen_at = row.seen_at.isoformat() if row.seen_at else None
    record("server forgotten", row, system=row.system.name, last_seen=seen_at, revision=row.revision)
    row.delete()
