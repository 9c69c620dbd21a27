"""What went wrong in one sentence, whatever it was; never a secret."""

from __future__ import annotations

import logging

from django.core.exceptions import ValidationError
from django.db import Error as DatabaseError

from provisioning.errors import ProvisioningError

logger = logging.getLogger(__name__)


def told(error: Exception) -> str:
    """One sentence for a person. Of what nobody has foreseen it tells the kind, and the log has the rest."""
    if isinstance(error, ProvisioningError):
        return error.detail
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, DatabaseError):
        return f"The database could not be written ({type(error).__name__})."
    logger.error("a step of a job raised what nobody has foreseen", exc_info=error)
    return f"Something unforeseen happened ({type(error).__name__}); nunect's log tells more."
