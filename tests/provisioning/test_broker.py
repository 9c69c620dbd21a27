"""A hint goes to the broker of the settings, from whichever process."""

import subprocess
import sys

from django.conf import settings

ASK = "from celery import current_app; import django; django.setup(); print(current_app.conf.broker_url)"


def test_every_process_that_loads_django_knows_the_broker():
    asked = [sys.executable, "-c", ASK]
    said = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=settings.BASE_DIR)
    assert said.stdout.strip().split("://")[0] == settings.CELERY_BROKER_URL.split("://")[0]
