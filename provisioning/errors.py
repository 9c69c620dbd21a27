"""Which step failed, and whether the same rows may be tried again."""

from __future__ import annotations


class ProvisioningError(Exception):
    """Root of the room. `detail` is one sentence, safe to store and show; never a secret.

    transient: worth another try with the same rows. server_words: what the server itself said.
    """

    step = ""
    transient = False

    def __init__(self, detail: str, server_words: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.server_words = server_words


class NoBinary(ProvisioningError):
    """There is no usable nats-server to validate with."""

    step, transient = "validate", True


class Invalid(ProvisioningError):
    """`nats-server -t` refuses the conf."""

    step = "validate"


class NotManaged(ProvisioningError):
    """The main file leaves no room for nunect's file, or would open the door."""

    step = "validate"


class NotWritten(ProvisioningError):
    """The conf folder could not be written; what stood there still stands."""

    step, transient = "write", True


class Locked(ProvisioningError):
    """Another writer holds the conf folder for too long."""

    step, transient = "write", True


class Superseded(ProvisioningError):
    """A run that began later has written already; start over with the rows of now."""

    step, transient = "write", True


class Unreachable(ProvisioningError):
    """No server answers, or one stopped answering."""

    step, transient = "reload", True


class Refused(ProvisioningError):
    """A server answered that it won't take the conf."""

    step = "reload"


class NotVerified(ProvisioningError):
    """A server answered "ok" and runs something else."""

    step, transient = "verify", True
