"""Settings of the tests: the product's own, on a database and folders of their own."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_state, _maker = tempfile.mkdtemp(prefix="nunect-test-"), os.getpid()


@atexit.register
def _remove() -> None:
    if os.getpid() == _maker:  # not a child that a test forked
        shutil.rmtree(_state, ignore_errors=True)


os.environ["NUNECT_STATE_DIR"] = _state
os.environ["NUNECT_CONFIG_DIR"] = f"{_state}/config"
os.environ.setdefault("SECRET_KEY", "only-for-tests")
os.environ.setdefault("NUNECT_ENCRYPTION_KEYS", "rBoqtDlxoAIzYd4rXzlqL9_YGM7SfdBd7Pnmxz5FcOs=")
if "REDIS_URL" in os.environ:  # each process of tests has a database of its own there
    _server, _, _number = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{_server}/{int(_number) + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:])}"

from nunect.settings import *  # noqa: E402, F403
from nunect.settings import DATABASES, OWN_VALKEY  # noqa: E402

Path(os.environ["NUNECT_CONFIG_DIR"]).mkdir()
Path(_state, "static").mkdir()
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if OWN_VALKEY:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": f"{_state}/test.sqlite3"}  # a file: children of a test see it, too
else:
    DATABASES["default"]["OPTIONS"] = {}
WHITENOISE_AUTOREFRESH = True  # a test's client shall not look through every static file at first
