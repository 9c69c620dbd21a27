"""The process `manage.py relay`: a relay for every system, and the archive that they share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from concurrent.futures import ThreadPoolExecutor

import redis.asyncio
from django.conf import settings
from django.db import DatabaseError

from monitoring.archive import Archive
from monitoring.relay import rows
from monitoring.relay.relay import Relay
from monitoring.store import TIMEOUT_S

logger = logging.getLogger(__name__)
LOOK_S = 2.0  # for systems that are new or gone
FLUSH_S = 1.0


async def run() -> None:
    """Until SIGTERM or SIGINT; what the archive holds is written before the end."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = redis.asyncio.Redis.from_url(
        settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
    )
    archive, running = Archive(), dict[int, asyncio.Task[None]]()
    with (
        ThreadPoolExecutor(1, thread_name_prefix="rows") as threads,
        ThreadPoolExecutor(1, thread_name_prefix="archive") as writer,
    ):
        flushing = asyncio.create_task(_flush(archive, writer))
        try:
            while not stop.is_set():
                await _follow(running, client, archive, threads)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await stop.wait()
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)
            flushing.cancel()
            await loop.run_in_executor(writer, lambda: archive.flush(last=True))
            await client.aclose()


async def _follow(
    running: dict[int, asyncio.Task[None]],
    client: redis.asyncio.Redis,
    archive: Archive,
    threads: ThreadPoolExecutor,
) -> None:
    """Start a relay for each system that has none, end those whose system is gone."""
    loop = asyncio.get_running_loop()
    try:
        ids = await loop.run_in_executor(threads, rows.system_ids)
        for gone in running.keys() - set(ids):
            running.pop(gone).cancel()
        for system_id in ids:
            task = running.get(system_id)
            if task is not None and not task.done():
                continue
            if task is not None and not task.cancelled() and task.exception():
                logger.error("a relay ended", exc_info=task.exception(), extra={"system": system_id})
            system = await loop.run_in_executor(threads, rows.read_system, system_id)
            if system is not None:
                running[system_id] = asyncio.create_task(Relay(system, client, archive, threads).run())
    except DatabaseError as error:
        logger.warning("the database doesn't answer", extra={"why": type(error).__name__})


async def _flush(archive: Archive, writer: ThreadPoolExecutor) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        await asyncio.get_running_loop().run_in_executor(writer, archive.flush)
