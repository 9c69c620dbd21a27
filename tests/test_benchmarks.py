"""The benchmarks are no tests; but they must begin."""

import os
import subprocess
import sys

from tests.whole.product import ROOT


def test_they_can_be_asked_for_before_django_is_set_up():
    plain = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    names = "from benchmarks import __main__, backup, jobs, live, rest"
    done = subprocess.run([sys.executable, "-c", names], cwd=ROOT, env=plain, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
