"""What a route does before it passes a request on: ``steps``, ``access``, ``respond``.

And ``error_pages``, which take the place of what went wrong.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field

from admin.documents.client_address import NETWORK_HINT, UNIX_PEERS, trusted_cidrs
from admin.documents.model import Maybe, Model, one_required
from admin.documents.scalars import Name, Pattern, Template, VariableName, Whole
from proxy import spec
from proxy.errors import FaultError
from proxy.spec import SILENCE

MAX_STEPS: Final = 500
MAX_ASSIGNED: Final = 100
MAX_ACCESS: Final = 1_000
MAX_NETWORKS: Final = 1_000
MAX_ERROR_PAGES: Final = 100

ACCESS_KEYS: Final = ("allow", "deny")
PAGE_KEYS: Final = ("path", "route", "location")
EVERYBODY: Final = ("0.0.0.0/0", "::/0", UNIX_PEERS)
"""What ``all`` stands for."""

Regex: TypeAlias = Annotated[str, Field(max_length=8192)]
Status: TypeAlias = Annotated[int, Whole(200, 599)]
Body: TypeAlias = Annotated[str, Field(max_length=65_536)]
MediaType: TypeAlias = Annotated[
    str,
    Pattern(
        r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( ?; ?[\x20-\x7e]*)?$",
        "a media type",
        "such as text/plain, or text/html; charset=utf-8",
    ),
]


def networks(text: str) -> tuple[str, ...]:
    """Return what an entry of ``allow`` or ``deny`` stands for, as ``proxy.spec`` has it.

    Raises:
        FaultError: it is neither a network nor an address nor a known word.
    """
    if text == "all":
        return EVERYBODY
    try:
        return trusted_cidrs(text)
    except FaultError as error:
        hint = f"{NETWORK_HINT}, or `all`" if error.hint == NETWORK_HINT else error.hint
        raise FaultError(error.message, hint) from None


def _network(text: str) -> str:
    networks(text)
    return text


Networks: TypeAlias = Annotated[
    list[Annotated[str, AfterValidator(_network)]], Field(min_length=1, max_length=MAX_NETWORKS)
]


class Condition(Model):
    """Compares a value; with neither `equals` nor `matches` it holds unless that is empty or 0."""

    value: Template = Field(description="What is looked at.", examples=["$http_user_agent"])
    equals: Maybe[Template] = Field(
        default=None, description="It is exactly this.", examples=["POST"]
    )
    matches: Maybe[Regex] = Field(
        default=None,
        description="RE2, found anywhere in it unless anchored. What it captures is `$1`, or a "
        "variable if it has a name.",
        examples=["(?i)bot|crawler"],
    )
    ignore_case: bool = Field(
        default=False, description="With `matches`: in any case.", examples=[False]
    )

    def to_spec(self, *, negated: bool) -> spec.ConditionSpec:
        """Translate; the condition is valid."""
        test: spec.ConditionTest = "truth"
        if self.matches is not None:
            test = "matches"
        elif self.equals is not None:
            test = "equals"
        return spec.ConditionSpec(
            value=self.value,
            test=test,
            operand=self.matches or self.equals or "",
            ignore_case=self.ignore_case,
            negated=negated,
        )


class Rewrite(Model):
    """Another path for the request, or for the client (nginx `rewrite`)."""

    match: Regex = Field(
        description="RE2, found anywhere in the path unless anchored.", examples=["^/old/(.*)$"]
    )
    to: Template = Field(
        description="The new path, with captures. What follows a `?` is its query; the one that "
        "there is comes behind it, unless `to` ends with `?`.",
        examples=["/new/$1"],
    )
    ignore_case: bool = Field(default=False, description="Match in any case.", examples=[False])
    then: Literal["next", "route", "stop"] = Field(
        default="next",
        description="`next`: the steps behind it, and then a route is looked for again; `route`: "
        "look at once; `stop`: this route takes the request.",
        examples=["route"],
    )
    redirect: Maybe[Literal[301, 302, 303, 307, 308]] = Field(
        default=None,
        description="Send the client there with this status, instead of going there ourselves.",
        examples=[301],
    )

    def to_spec(self) -> spec.RewriteSpec:
        """Translate; the rewrite is valid."""
        return spec.RewriteSpec(
            match=self.match,
            to=self.to,
            ignore_case=self.ignore_case,
            then=self.then,
            redirect=self.redirect,
        )


class Answer(Model):
    """An answer of the proxy itself (nginx `return`)."""

    status: Status = Field(
        description=f"{SILENCE} closes the connection without an answer.", examples=[204, 301, 403]
    )
    location: Maybe[Template] = Field(
        default=None,
        description="Where the client is sent.",
        examples=["https://$host$request_uri"],
    )
    body: Maybe[Body] = Field(
        default=None,
        description="Text with variables. Left out, an error has its usual short text, and "
        "anything else none.",
        examples=["ok\n"],
    )
    type: MediaType = Field(
        default="text/plain", description="Content-Type of the body.", examples=["text/html"]
    )

    def to_spec(self) -> spec.AnswerSpec:
        """Translate; the answer is valid."""
        return spec.AnswerSpec(
            status=self.status, body=self.body, content_type=self.type, location=self.location
        )


class Step(Model):
    """Done to a request before it is passed on: set, then rewrite, then respond or stop."""

    when: Maybe[Condition] = Field(
        default=None,
        description="Only if this holds.",
        examples=[{"value": "$http_x_debug"}],
    )
    unless: Maybe[Condition] = Field(
        default=None,
        description="Only if this does not hold.",
        examples=[{"value": "$request_method", "matches": "^(GET|HEAD)$"}],
    )
    set: dict[VariableName, Template] = Field(
        default_factory=dict,
        max_length=MAX_ASSIGNED,
        description="Variables of the request, usable wherever variables are; `args` is the query.",
        examples=[{"flavour": "plain"}],
    )
    rewrite: Maybe[Rewrite] = Field(
        default=None,
        description="Another path.",
        examples=[{"match": "^/old/(.*)$", "to": "/new/$1", "redirect": 301}],
    )
    respond: Maybe[Answer] = Field(
        default=None, description="Answer, and be done.", examples=[{"status": 403}]
    )
    stop: bool = Field(
        default=False, description="Take no further steps (nginx `break`).", examples=[True]
    )

    def to_spec(self) -> spec.StepSpec:
        """Translate; the step is valid."""
        condition = None
        if self.when is not None:
            condition = self.when.to_spec(negated=False)
        elif self.unless is not None:
            condition = self.unless.to_spec(negated=True)
        return spec.StepSpec(
            when=condition,
            set=tuple(self.set.items()),
            rewrite=None if self.rewrite is None else self.rewrite.to_spec(),
            answer=None if self.respond is None else self.respond.to_spec(),
            stop=self.stop,
        )


class AccessRule(Model):
    """Who is let in or turned away: exactly one of `allow` and `deny`."""

    model_config = ConfigDict(json_schema_extra=one_required(ACCESS_KEYS))

    allow: Maybe[Networks] = Field(
        default=None,
        description="CIDRs, addresses, `private`, `unix` or `all`.",
        examples=[["10.0.0.0/8"], ["private"]],
    )
    deny: Maybe[Networks] = Field(
        default=None, description="The same, to be answered 403.", examples=[["all"]]
    )

    def to_spec(self) -> spec.AccessRuleSpec:
        """Translate; the rule is valid."""
        texts = self.deny if self.allow is None else self.allow
        found = [network for text in texts or () for network in networks(text)]
        return spec.AccessRuleSpec(
            allows=self.allow is not None, networks=tuple(dict.fromkeys(found))
        )


class ErrorPage(Model):
    """What takes the place of an error: exactly one of `path`, `route` and `location`."""

    model_config = ConfigDict(json_schema_extra=one_required(PAGE_KEYS))

    statuses: Annotated[
        list[Annotated[int, Whole(300, 599)]], Field(min_length=1, max_length=300)
    ] = Field(description="Of the errors.", examples=[[502, 503, 504]])
    path: Maybe[Template] = Field(
        default=None,
        description="A path that is routed anew, as a GET without a body.",
        examples=["/sorry.html"],
    )
    route: Maybe[Name] = Field(
        default=None,
        description="A route that the request goes to as it is (nginx `@name`).",
        examples=["fallback"],
    )
    location: Maybe[Template] = Field(
        default=None,
        description="Where the client is sent.",
        examples=["https://status.example.com/"],
    )
    status: Maybe[
        Annotated[
            int | Literal["page"],
            Whole(200, 599, word="page", hint="`page` is whatever the page answers with"),
        ]
    ] = Field(
        default=None,
        description="What the client sees; `page`: what the page answers with; left out: the "
        "error's.",
        examples=[200, "page"],
    )

    def to_spec(self) -> spec.ErrorPageSpec:
        """Translate; the error page is valid."""
        return spec.ErrorPageSpec(
            statuses=tuple(self.statuses),
            path=self.path,
            route=self.route,
            location=self.location,
            status=self.status,
        )


AccessRules: TypeAlias = Annotated[list[AccessRule], Field(max_length=MAX_ACCESS)]
ErrorPages: TypeAlias = Annotated[list[ErrorPage], Field(max_length=MAX_ERROR_PAGES)]
Steps: TypeAlias = Annotated[list[Step], Field(max_length=MAX_STEPS)]
