"""What is logged of what is no fault of ours, people who are told no and a Redis that is gone: a line."""

import logging


class Expected(logging.Filter):
    """Takes the traceback from answers below 500, which Django logs with the exception that they came from."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = None
        return True


class Waits(logging.Filter):
    """A line, and not one for each try, of a worker that has lost its Redis; then one that it is connected again."""

    def __init__(self) -> None:
        super().__init__()
        self._told = ""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if text.startswith("Connected to "):
            self._told = ""
        elif text.startswith("consumer: Connection to broker lost."):
            return False  # the try that follows says why
        elif text.startswith("consumer: Cannot connect to ") and isinstance(record.args, tuple):
            why = str(record.args[1]).rstrip(".")
            known, self._told = self._told, why
            record.msg, record.args = "waits for Redis, and tries again: %s", (why,)
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            return why != known
        return True
