"""Signals: the drain that ends the process, reading the configuration again, rotated logs.

SIGTERM and SIGINT start the drain, or join the one that runs, and the process exits when it is
done; a second SIGINT, by someone at a terminal who has seen enough, ends it at once.  SIGHUP reads
the configuration again and opens log files anew, as in nginx; SIGUSR1 does the latter alone.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from admin.config_file import bootstrap
from admin.controller import Controller, PendingError, RefusedError
from admin.drain import ProcessDrain
from admin.plane import DataPlane
from admin.revisions import Origin
from admin.settings import RunSettings
from admin.store import NotKeptError
from proxy.telemetry.logging import get_logger

INTERRUPTED: Final = 1
"""Exit status of a drain that was cut short."""

_log = get_logger("admin.lifecycle")


class Lifecycle:
    """What signals ask of this process."""

    def __init__(
        self,
        server: DataPlane,
        controller: Controller,
        settings: RunSettings,
        drain: ProcessDrain,
    ) -> None:
        self._server: Final = server
        self._controller: Final = controller
        self._settings: Final = settings
        self._drain: Final = drain
        self._stopping: Final = asyncio.Event()
        self._at_once: Final = asyncio.Event()
        self._interrupted = False
        self._reloads: Final[set[asyncio.Task[None]]] = set()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Obey signals within this context."""
        loop = asyncio.get_running_loop()
        handlers = {
            signal.SIGTERM: self.terminate,
            signal.SIGINT: self.interrupt,
            signal.SIGHUP: self.hang_up,
            signal.SIGUSR1: self.reopen_logs,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    async def wait(self) -> int:
        """Return the exit status, once the process has been told to stop and has drained."""
        await self._stopping.wait()
        drained = asyncio.create_task(self._server.drained())
        at_once = asyncio.create_task(self._at_once.wait())
        done, pending = await asyncio.wait((drained, at_once), return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        _log.info("stopped", drained=drained in done, remaining=self._server.remaining)
        return 0 if drained in done else INTERRUPTED

    def terminate(self) -> None:
        """Start the drain, or join the one that runs."""
        self._drain.stop()
        self._stopping.set()

    def interrupt(self) -> None:
        """Drain; the second time, stop at once."""
        if self._interrupted:
            self._at_once.set()
        self._interrupted = True
        self.terminate()

    def hang_up(self) -> None:
        """Read what ``--config`` or ``--nginx-conf`` names again, and open log files anew."""
        self.reopen_logs()
        task = asyncio.get_running_loop().create_task(self._reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    def reopen_logs(self) -> None:
        """Open log files anew that were rotated away."""
        self._server.reopen_logs()

    async def _reload(self) -> None:
        source = bootstrap(self._settings)
        if source is None:
            _log.warning("nothing_to_reload", hint="there is no --config and no --nginx-conf")
            return
        try:
            if self._controller.folder is not None:
                await self._controller.read_folder()
            else:
                await self._controller.read(source, Origin("sighup", "hotsplice"))
        except (RefusedError, NotKeptError):
            # The controller has logged and counted it; what served before goes on.
            return
        except PendingError as error:
            _log.error("reload_refused", reason=str(error))
        except Exception:  # noqa: BLE001 (a bug must not end the process)
            _log.exception("reload_failed")
