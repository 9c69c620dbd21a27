"""What is logged of people who are told no: a line, since it is no fault of ours."""

import logging


class Expected(logging.Filter):
    """Takes the traceback from answers below 500, which Django logs with the exception that they came from."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = None
        return True
