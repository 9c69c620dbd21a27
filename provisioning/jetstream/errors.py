"""What JetStream's API answers instead of doing what it was asked."""

from __future__ import annotations

from provisioning.errors import ProvisioningError, Unreachable

STREAM_NOT_FOUND, CONSUMER_NOT_FOUND = 10059, 10014
UNKNOWN = (STREAM_NOT_FOUND, CONSUMER_NOT_FOUND)
STREAM_NAME_IN_USE, CONSUMER_NAME_IN_USE = 10058, (10013, 10148)


class JetStreamError(ProvisioningError):
    """A server's refusal. code: as of HTTP; err_code: what it is about; words: the server's own."""

    step = "assets"

    def __init__(self, code: int, err_code: int, words: str) -> None:
        super().__init__(words, words)
        self.code, self.err_code, self.words = code, err_code, words


class NotShown(Unreachable):
    """The account does not show its JetStream to nunect: it isn't there yet, has none, or opts out."""

    step = "assets"


class NoAnswer(Unreachable):
    """The account shows its JetStream, and nobody answers for it in time: whatever was asked may be done or not."""

    step = "assets"
