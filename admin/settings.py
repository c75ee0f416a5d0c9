"""The flags, and their twins in the environment.

Every flag ``--some-flag`` has a twin ``HOTSPLICE_SOME_FLAG``; the flag wins, and a twin that is
empty counts as unset.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

from admin.client import COMMANDS as CLIENT
from admin.documents.units import seconds
from admin.environment import environment
from admin.reach import is_private
from proxy.addresses import Address, parse_address
from proxy.errors import FaultError
from proxy.networks import Networks
from proxy.upstream.denied import METADATA

T = TypeVar("T", bound=str)

AdminAuth = Literal["token", "off"]
AccessLogMode = Literal["off", "errors", "sampled", "all"]
LogFormat = Literal["json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How ``run`` and ``demo`` run."""

    config: Path | None = None
    nginx_conf: Path | None = None
    lenient: bool = False
    """Leave out what is refused of it."""
    state_dir: Path | None = None
    admin: Address
    admin_auth: AdminAuth
    admin_token_file: Path | None = None
    telemetry: Address
    ready_file: Path | None
    drain_timeout_s: float
    drain_accept_s: float
    endpoint_deny: tuple[str, ...] = METADATA
    """Networks that are never connected to."""
    secrets_dir: Path | None = None
    access_log: AccessLogMode
    log_level: LogLevel
    log_format: LogFormat
    runtime_dir: Path | None = None
    """``XDG_RUNTIME_DIR``, where a token made by ``run`` is kept."""
    listen: Address | None = None
    """Where ``demo`` listens for clients."""


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What ``check`` checks."""

    file: Path
    nginx: bool = False
    """It is an nginx.conf."""


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """What ``import-nginx`` imports."""

    file: Path
    lenient: bool = False
    """Leave out what is refused."""


Settings = RunSettings | CheckSettings | ImportSettings


@dataclass(frozen=True, slots=True)
class Option:
    """A flag and its twin."""

    flag: str
    read: Callable[[str], object]
    default: str | None
    metavar: str
    help: str
    alone: str | None = None
    """What the flag without a value says; ``None``: it needs one."""

    @property
    def name(self) -> str:
        """As ``argparse`` has it."""
        return self.flag.replace("-", "_")

    @property
    def field(self) -> str:
        """The field of the settings."""
        return f"{self.name}_s" if self.read is seconds else self.name

    @property
    def twin(self) -> str:
        """The environment variable."""
        return "HOTSPLICE_" + self.name.upper()


def _switch(text: str) -> bool:
    return _one_of("on", "off")(text) == "on"


def _address(text: str) -> Address:
    return parse_address(text, any_port=True)


def _tcp(text: str) -> Address:
    address = _address(text)
    if address.kind == "unix":
        raise ValueError("Prometheus and the kubelet need host:port")
    return address


def _networks(text: str) -> tuple[str, ...]:
    if text == "none":
        return ()
    networks = tuple(part.strip() for part in text.split(","))
    Networks(networks)
    return networks


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return text

    return read


ADMIN: Final = Option(
    "admin", _address, "127.0.0.1:9901", "ADDR", "REST API: host:port or unix:PATH"
)
TELEMETRY: Final = Option(
    "telemetry", _tcp, "0.0.0.0:9902", "ADDR", "/metrics, /livez, /readyz, /drained: host:port"
)
READY_FILE: Final = Option(
    "ready-file", Path, None, "FILE", "written as JSON with every address once all serve"
)
DRAIN: Final = (
    Option("drain-timeout", seconds, "25s", "TIME", "how long SIGTERM lets requests go on"),
    Option("drain-accept", seconds, "5s", "TIME", "how long SIGTERM lets listeners accept"),
)
ENDPOINT_DENY: Final = Option(
    "endpoint-deny",
    _networks,
    ",".join(METADATA),
    "CIDR,...",
    "networks of no endpoint: never connected to; none: only our own admin and telemetry",
)
ACCESS_LOG: Final = Option(
    "access-log",
    _one_of("off", "errors", "sampled", "all"),
    "errors",
    "WHICH",
    "requests to log: off, errors, sampled or all",
)
LOGGING: Final = (
    Option(
        "log-level",
        _one_of("debug", "info", "warning", "error"),
        "info",
        "LEVEL",
        "debug, info, warning or error",
    ),
    Option("log-format", _one_of("json", "console"), "json", "FORMAT", "json or console"),
)
RUN: Final = (
    Option(
        "config",
        Path,
        None,
        "FILE|DIR",
        "the document to start with and to read again on SIGHUP; a folder's documents are followed",
    ),
    Option("nginx-conf", Path, None, "FILE", "the same as an nginx.conf, instead of --config"),
    Option(
        "lenient",
        _switch,
        "off",
        "on|off",
        "leave out what is refused of --nginx-conf, now and on SIGHUP, and go on",
        alone="on",
    ),
    Option(
        "state-dir", Path, None, "DIR", "keeps revisions and overrides over restarts and crashes"
    ),
    ADMIN,
    Option(
        "admin-auth",
        _one_of("token", "off"),
        "token",
        "token|off",
        "off: nobody needs a token; for loopback and Unix sockets only",
    ),
    Option("admin-token-file", Path, None, "FILE", "lines name:role:sha256-of-token"),
    TELEMETRY,
    READY_FILE,
    *DRAIN,
    ENDPOINT_DENY,
    Option("secrets-dir", Path, None, "DIR", "files named NAME, for $secret_NAME"),
    ACCESS_LOG,
    *LOGGING,
)


def _defaults(options: tuple[Option, ...], *defaults: str) -> tuple[Option, ...]:
    return tuple(
        replace(option, default=default) for option, default in zip(options, defaults, strict=True)
    )


DEMO: Final = (
    Option("listen", _tcp, "127.0.0.1:8080", "ADDR", "where clients connect: host:port"),
    ADMIN,
    *_defaults((TELEMETRY,), "127.0.0.1:9902"),
    READY_FILE,
    *_defaults(DRAIN, "1s", "0s"),
    ACCESS_LOG,
    *_defaults(LOGGING, "warning", "console"),
)
COMMANDS: Final[Mapping[str, tuple[str, tuple[Option, ...]]]] = {
    "run": ("run the sidecar in the foreground", RUN),
    "demo": ("run it with an echo pool of two endpoints, and print commands to try", DEMO),
    "check": ("validate a document; exit 2 with every fault", ()),
    "import-nginx": ("print the document that does what an nginx.conf does; report on stderr", ()),
}


def parse(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> Settings:
    """Read the command line; exit 2 with a message if something on it is wrong.

    ``environ`` is the process's environment unless it is given.
    """
    environ = environment() if environ is None else environ
    parser, parsers = command_line()
    arguments = parser.parse_args(argv)
    command = parsers[arguments.command]
    if arguments.command == "check":
        return CheckSettings(arguments.file, arguments.nginx)
    if arguments.command == "import-nginx":
        return ImportSettings(arguments.file, arguments.lenient)
    values = _values(command, COMMANDS[arguments.command][1], arguments, environ)
    base = environ.get("XDG_RUNTIME_DIR")
    runtime_dir = Path(base) if base else None
    settings = RunSettings(**({"admin_auth": "off", "runtime_dir": runtime_dir} | values))
    _check(command, settings)
    return settings


def command_line() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """Return the parser of the command line, and those of the commands that are read here.

    Those of the client are read in ``admin.client``; here they are in the list.
    """
    parser = argparse.ArgumentParser(
        "hotsplice", description="A proxy for HTTP and WebSocket, reconfigured live by REST."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parsers = {name: _command(commands, name, help_) for name, (help_, _) in COMMANDS.items()}
    parsers["check"].add_argument(
        "file", type=Path, metavar="FILE", help="JSON or YAML, or a folder of them"
    )
    parsers["check"].add_argument("--nginx", action="store_true", help="FILE is an nginx.conf")
    importing = parsers["import-nginx"]
    importing.add_argument("file", type=Path, metavar="FILE", help="an nginx.conf")
    importing.add_argument(
        "--lenient", action="store_true", help="leave out what is refused, and go on"
    )
    for name, summary in CLIENT.items():
        commands.add_parser(name, help=summary)
    return parser, parsers


def _command(commands: Any, name: str, summary: str) -> argparse.ArgumentParser:
    parser = cast(
        argparse.ArgumentParser,
        commands.add_parser(name, help=summary, description=summary, allow_abbrev=False),
    )
    for option in COMMANDS[name][1]:
        default = f"; default {option.default}" if option.default else ""
        parser.add_argument(
            f"--{option.flag}",
            metavar=option.metavar,
            nargs=None if option.alone is None else "?",
            const=option.alone,
            help=f"{option.help}{default} [{option.twin}]",
        )
    return parser


def _values(
    parser: argparse.ArgumentParser,
    options: tuple[Option, ...],
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for option in options:
        text, where = getattr(arguments, option.name), f"--{option.flag}"
        if text is None and environ.get(option.twin):
            text, where = environ[option.twin], option.twin
        if text is None:
            text = option.default
        try:
            values[option.field] = None if text is None else option.read(text)
        except FaultError as error:
            hint = f" ({error.hint})" if error.hint else ""
            parser.error(f"{where}: {error.message}{hint}")
        except ValueError as error:
            parser.error(f"{where}: {error}")
    return values


def _check(parser: argparse.ArgumentParser, settings: RunSettings) -> None:
    if settings.config is not None and settings.nginx_conf is not None:
        parser.error("--nginx-conf: there is a --config too; start with one of them")
    if settings.lenient and settings.nginx_conf is None:
        parser.error("--lenient: it is for --nginx-conf, and there is none")
    if settings.drain_accept_s > settings.drain_timeout_s:
        parser.error("--drain-accept: it is part of --drain-timeout, and cannot be longer")
    if is_private(settings.admin):
        return
    if settings.admin_auth == "off":
        parser.error(f"--admin-auth off: only on loopback and Unix sockets, not {settings.admin}")
    if settings.admin_token_file is None:
        parser.error(f"--admin {settings.admin}: beyond loopback it needs --admin-token-file")
