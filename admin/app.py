"""The composition root: settings, server, controller, API, telemetry and signals, wired together.

Order of the start: telemetry, so that a probe gets an answer; the document; the admin API; the
ready file.  The end is the reverse, after the drain: whoever waits at ``/drained`` is answered.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvloop

from admin import collector
from admin.api.application import application
from admin.api.auth import Guard, Role, Token, TokenFile, Tokens, digest_of
from admin.beginning import FILE, begin
from admin.beside import Beside
from admin.cli import FAULTY, report
from admin.config_file import bootstrap
from admin.controller import Controller, RefusedError
from admin.drain import ProcessDrain, tell_of_drain
from admin.examiner import Examiner
from admin.folder.following import follow
from admin.folder.ownership import Folder
from admin.folder.watching import Watch
from admin.lifecycle import Lifecycle
from admin.listening import ListenError, listening
from admin.memory import Memory
from admin.revisions import Origin
from admin.runtime import (
    ReadyFile,
    RuntimeFolderError,
    keep_token,
    link_token,
    make_token,
    token_path,
)
from admin.secrets_folder import SecretsFolder, SecretsFolderError
from admin.settings import RunSettings
from admin.store import StateFolderError, Store
from admin.telemetry import application as telemetry_application
from proxy.addresses import parse_address
from proxy.headers.secrets import NONE
from proxy.server import Server
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.logging import configure, get_logger
from proxy.upstream.denied import Denied

FAILED: Final = 1
"""Exit status if the process could not start."""

SWITCH_INTERVAL_S: Final = 0.0002
"""A large document is worked on in a thread; with the interpreter's 5 ms the event loop would wait
as long for its turn each time, and every request with it."""

Announce = Callable[[str, str, dict[str, str]], None]
"""Called when all serves, with the addresses: admin, telemetry, listeners by name."""

_log = get_logger("admin.app")


class TokenFileError(Exception):
    """The file of ``--admin-token-file`` cannot be used."""


def run(settings: RunSettings, beside: Beside | None = None) -> int:
    """Run until told to stop; return the exit status."""
    return start(settings, lambda: serve(settings, beside=beside))


def start(settings: RunSettings, main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run a main coroutine on uvloop, or say in plain words why it could not start."""
    configure(settings.log_level, settings.log_format)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        return uvloop.run(main())
    except RefusedError as error:
        print("hotsplice: the document has faults; nothing was started", file=sys.stderr)
        report(error.faults, sys.stderr)
        return FAULTY
    except TokenFileError as error:
        print(f"hotsplice: --admin-token-file: {error}", file=sys.stderr)
        return FAULTY
    except SecretsFolderError as error:
        print(f"hotsplice: --secrets-dir: {error}", file=sys.stderr)
        return FAULTY
    except StateFolderError as error:
        print(f"hotsplice: --state-dir: {error}", file=sys.stderr)
        return FAILED
    except (ListenError, RuntimeFolderError, OSError) as error:
        print(f"hotsplice: {error}", file=sys.stderr)
        return FAILED


async def serve(
    settings: RunSettings,
    document: object = None,
    announce: Announce | None = None,
    beside: Beside | None = None,
) -> int:
    """Serve the file that the settings name, or else ``document``, until told to stop.

    ``beside`` helps with the start.
    """
    examiner = Examiner(beside)
    access_log = None if settings.access_log == "off" else AccessLog(settings.access_log)
    memory = Memory(None if settings.state_dir is None else Store(settings.state_dir))
    denied = Denied(settings.endpoint_deny, (settings.admin, settings.telemetry))
    folder = None if settings.secrets_dir is None else SecretsFolder(settings.secrets_dir)
    secrets = NONE if folder is None else folder
    server = Server(access_log=access_log, denied=denied, secrets=secrets)
    controller = Controller(server, memory, examiner)
    controller.folder = _folder_of(settings, memory)
    drain = ProcessDrain(
        server,
        controller.events,
        timeout_s=settings.drain_timeout_s,
        accept_s=settings.drain_accept_s,
    )
    lifecycle = Lifecycle(server, controller, settings, drain)
    server.watch_endpoints(lambda moved: controller.events.emit("endpoint", **asdict(moved)))
    server.watch_discovery(lambda found: controller.events.emit("discovery", **asdict(found)))
    server.watch_drains(partial(tell_of_drain, controller.events))
    admin_requests: Counter[int] = Counter()
    started = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.callback(examiner.close)
        stack.callback(memory.close)
        stack.push_async_callback(server.close)
        stack.callback(controller.close)
        if folder is not None:
            stack.callback(asyncio.create_task(folder.follow()).cancel)
        stack.callback(drain.close)
        stack.enter_context(lifecycle.signals())
        ready_file = ReadyFile(settings.ready_file)
        stack.callback(ready_file.remove)
        telemetry = await stack.enter_async_context(
            listening(
                telemetry_application(server, controller, admin_requests, started.is_set),
                settings.telemetry,
            )
        )
        watch = None
        if controller.folder is not None:
            watch = Watch(controller.folder.path)  # before it is read, so that nothing is missed
            stack.callback(watch.close)
        await _first(controller, settings, document, examiner)
        examiner.close()
        if controller.folder is not None and watch is not None:
            following = asyncio.create_task(follow(controller, controller.folder, watch))
            stack.callback(following.cancel)
        tokens, made = _tokens(settings)
        guard = Guard(settings.admin, tokens)
        api = application(controller, server, guard, admin_requests, drain)
        admin = await stack.enter_async_context(listening(api, settings.admin))
        denied.protect(map(parse_address, (admin, telemetry)))
        token_file = _keep(made, admin, settings)
        if token_file is not None:
            stack.callback(partial(token_file.unlink, missing_ok=True))
            _link(token_file, admin, settings, stack)

        def tell() -> None:
            ready_file.write(admin, telemetry, server.addresses, token_file)

        tell()
        controller.published = partial(_tell_again, tell)
        started.set()
        if announce is not None:
            announce(admin, telemetry, server.addresses)
        _settle(admin, telemetry, server.addresses, token_file)
        return await lifecycle.wait()


async def _first(
    controller: Controller, settings: RunSettings, document: object, examiner: Examiner
) -> None:
    if document is None:
        await begin(controller, bootstrap(settings, examiner.call), FILE)
    else:
        await begin(controller, lambda: document, Origin("demo", "hotsplice"))


def _folder_of(settings: RunSettings, memory: Memory) -> Folder | None:
    """Return the folder of ``--config``, if it is one, or was and is not there now."""
    path = settings.config
    if path is None or not (path.is_dir() or (memory.state.owned and not path.exists())):
        return None
    return Folder(path)


def _keep(made: str | None, admin: str, settings: RunSettings) -> Path | None:
    if made is None:
        return None
    return keep_token(made, token_path(admin, settings.state_dir, settings.runtime_dir))


def _link(token_file: Path, admin: str, settings: RunSettings, stack: AsyncExitStack) -> None:
    """Let clients find a token in a state folder that they are not told of, if that can be."""
    if settings.state_dir is None:
        return
    try:
        link = link_token(token_file, admin, settings.runtime_dir)
    except (RuntimeFolderError, OSError) as error:
        _log.info("admin_token_not_linked", path=str(token_file), error=str(error))
    else:
        stack.callback(partial(link.unlink, missing_ok=True))


def _tokens(settings: RunSettings) -> tuple[Tokens | None, str | None]:
    """Return the tokens that are accepted, and the one that was made because none was given."""
    if settings.admin_auth == "off" or settings.admin.kind == "unix":
        return None, None
    if settings.admin_token_file is None:
        made = make_token()
        return Tokens((Token("local", Role.WRITE, digest_of(made)),)), made
    try:
        return TokenFile(settings.admin_token_file), None
    except (OSError, ValueError) as error:
        raise TokenFileError(f"{settings.admin_token_file}: {error}") from error


def _tell_again(tell: Callable[[], None]) -> None:
    """Tell where the listeners are now.  What is published serves, whether or not that works."""
    try:
        tell()
    except OSError as error:
        _log.error("ready_file_not_written", error=str(error))


def _settle(admin: str, telemetry: str, listeners: dict[str, str], token_file: Path | None) -> None:
    """Say where everything is, and leave the collector to its rest."""
    collector.settle()
    _log.info(
        "serving",
        admin=admin,
        telemetry=telemetry,
        listeners=listeners,
        admin_token_file=None if token_file is None else str(token_file),
    )
