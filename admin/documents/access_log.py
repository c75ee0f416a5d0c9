"""``access_log`` of listeners and routes: which requests are logged, in what form, and where."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field

from admin.documents.model import Maybe, Model, OrWord
from admin.documents.scalars import Template
from proxy import spec
from proxy.errors import Fault
from proxy.logs.access import WORDS
from proxy.logs.places import check_target

MAX_LOGS: Final = 20

_STREAMS: Final = {"/dev/stderr": "stderr", "/dev/stdout": "stdout"}


def _target(text: str) -> str:
    check_target(_STREAMS.get(text, text))
    return text


LogTarget: TypeAlias = Annotated[str, AfterValidator(_target)]


class Log(Model):
    """One log."""

    to: LogTarget = Field(
        default="stderr",
        description="`stderr`, `stdout`, or the absolute path of a file whose name ends in `.log`. "
        "A file that was rotated away is made anew.",
        examples=["/var/log/hotsplice/access.log", "stderr"],
    )
    format: Template = Field(
        default="json",
        description="`json`, with the fields of the process's own access log; `combined`, as nginx "
        "has it; or a line with variables.",
        examples=["combined", '$remote_addr "$request" $status $request_time'],
    )
    escape: Maybe[Literal["default", "json", "none"]] = Field(
        default=None,
        description="Of values in a line with variables: `default` writes `\\xHH` for what is not "
        "plain text, and `-` for what is not there; `json` what a JSON string needs; `none` only "
        "what would end the line.  Left out: `default`.",
        examples=["json"],
    )
    when: Maybe[Template] = Field(
        default=None,
        description="A request for which this is empty or 0 is not logged; left out: all are.",
        examples=["$loggable"],
    )

    def to_spec(self) -> spec.LogSpec:
        """Translate; the log is valid."""
        return spec.LogSpec(
            to=_STREAMS.get(self.to, self.to),
            format=self.format,
            escape=self.escape or "default",
            when=self.when,
        )


AccessLog: TypeAlias = Annotated[
    Annotated[list[Log], Field(min_length=1, max_length=MAX_LOGS)] | Literal["off"], OrWord()
]


def check_fit(access_log: AccessLog | None, at: str, faults: list[Fault]) -> None:
    """Check keys that have a meaning only beside others; ``at`` is where the holder stands."""
    for index, log in enumerate(() if access_log is None or access_log == "off" else access_log):
        if log.escape is not None and log.format in WORDS:
            place = f"{at}/access_log/{index}/escape"
            faults.append(Fault(place, "means something only with a format of your own"))


def logs_to_spec(access_log: AccessLog | None) -> tuple[spec.LogSpec, ...] | None:
    """Translate; ``None`` says nothing."""
    if access_log is None:
        return None
    return () if access_log == "off" else tuple(log.to_spec() for log in access_log)
