"""nginx beside the proxy: the same request into both settles what nginx's rule is."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.peers.client import RawClient
from tests.peers.waiting import eventually, within

NGINX: Final = shutil.which("nginx")

beside_nginx: Final = pytest.mark.skipif(NGINX is None, reason="there is no nginx here to compare")

_CONF: Final = """
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
{user}
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
}}
"""


@asynccontextmanager
async def nginx(folder: Path, http: str) -> AsyncIterator[None]:
    """Run nginx with ``http`` as the content of its ``http`` block, until it listens everywhere.

    It should listen on Unix sockets in ``folder``, for nginx cannot be given port 0.
    """
    user = "user root;" if os.getuid() == 0 else ""
    conf = folder / "nginx.conf"
    conf.write_text(_CONF.format(folder=folder, http=http, user=user))
    async with running(conf):
        yield


@asynccontextmanager
async def running(conf: Path) -> AsyncIterator[None]:
    """Run nginx with a whole file, which has its ``pid`` beside it, until it listens everywhere."""
    assert NGINX is not None
    folder = conf.parent
    process = await asyncio.create_subprocess_exec(
        NGINX, "-p", str(folder), "-c", str(conf), "-g", "daemon off;"
    )
    try:
        await eventually(
            lambda: (folder / "pid").exists() or process.returncode is not None,
            "nginx to start",
        )
        log = folder / "error.log"
        assert process.returncode is None, log.read_text() if log.exists() else "it did not start"
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await within(process.wait(), "nginx to stop")


async def takes(folder: Path, http: str) -> bool:
    """Tell whether nginx would start with ``http`` as the content of its ``http`` block."""
    assert NGINX is not None
    conf = folder / "nginx.conf"
    conf.write_text(_CONF.format(folder=folder, http=http, user=""))
    process = await asyncio.create_subprocess_exec(
        NGINX, "-t", "-q", "-p", str(folder), "-c", str(conf), stderr=asyncio.subprocess.DEVNULL
    )
    return await within(process.wait(), "nginx to look at a file") == 0


async def connect(path: Path, name: str = "client of nginx") -> RawClient:
    """Connect to a Unix socket that nginx listens on."""
    return await RawClient.connect(f"unix:{path}", name=name)
