"""A process beside this one, for what a start needs and serving does not.

To examine a document takes pydantic and its models, to read it maybe a parser of YAML: together a
fifth of the memory that a sidecar would have for as long as it runs, and a third of its start.  So
this is done by another process, made before anything large is loaded, while this one loads the
rest.  It answers through pipes that nobody else has, and ends with the start.  Should a document
change later, all that is loaded here, once (``late``).
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
from importlib import import_module
from typing import Any, BinaryIO, Final, NoReturn

from admin.documents.faults import DocumentError

LENGTH_OCTETS: Final = 8


class BesideError(Exception):
    """It cannot be asked, or failed in another way than by a fault of the document."""


class Beside:
    """That process, as seen from here."""

    def __init__(self, *ahead: str) -> None:
        """Fork, and load some modules there.  There must be no thread yet; ``OSError``."""
        questions, asking = os.pipe()
        answering, answers = os.pipe()
        self._pid: Final = os.fork()
        if self._pid == 0:
            os.close(asking)
            os.close(answering)
            _serve(os.fdopen(questions, "rb"), os.fdopen(answers, "wb"), ahead)
        os.close(questions)
        os.close(answers)
        self._asking: Final = os.fdopen(asking, "wb")
        self._answering: Final = os.fdopen(answering, "rb")
        self._turn: Final = threading.Lock()
        self._open = True

    def call(self, module: str, name: str, *args: object) -> Any:
        """Call a function of a module there; for a thread, because it waits.

        ``DocumentError`` as the function raised it, ``BesideError`` for anything else.
        """
        with self._turn:
            if not self._open:
                raise BesideError("it has ended")
            try:
                _write(self._asking, (module, name, args))
                faults, value = _read(self._answering)
            except (OSError, EOFError, pickle.PickleError) as error:
                raise BesideError(f"it broke off: {error!r}") from error
        if faults is not None:
            raise DocumentError(faults)
        if isinstance(value, _Failed):
            raise BesideError(value.trace)
        return value

    def close(self) -> None:
        """Have it end, and wait until it has."""
        with self._turn:
            if self._open:
                self._open = False
                self._asking.close()
                self._answering.close()
                os.waitpid(self._pid, 0)


class _Failed:
    """A failure of ours, as it is told."""

    def __init__(self, trace: str) -> None:
        self.trace: Final = trace


def _serve(questions: BinaryIO, answers: BinaryIO, ahead: tuple[str, ...]) -> NoReturn:
    """Be that process: answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's is for the other one
    status = 1
    try:
        for each in ahead:
            import_module(each)
        while True:
            module, name, args = _read(questions)
            _write(answers, _answer(module, name, args))
    except EOFError:
        status = 0
    finally:
        os._exit(status)  # what the other process has prepared for its exit is not for this one


def _answer(module: str, name: str, args: tuple[object, ...]) -> tuple[object, object]:
    try:
        return None, getattr(import_module(module), name)(*args)
    except DocumentError as error:
        return error.faults, None
    except Exception:  # noqa: BLE001 (told to who asked)
        return None, _Failed(traceback.format_exc())


def _write(to: BinaryIO, value: object) -> None:
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    to.write(len(data).to_bytes(LENGTH_OCTETS, "big") + data)
    to.flush()


def _read(source: BinaryIO) -> Any:
    """Read a value; ``EOFError`` if the other side has gone."""
    head = source.read(LENGTH_OCTETS)
    length = int.from_bytes(head, "big")
    data = source.read(length)
    if len(head) < LENGTH_OCTETS or len(data) < length:
        raise EOFError("the other side has gone")
    return pickle.loads(data)
