"""``/docs``: the OpenAPI document as one page of HTML that loads nothing and runs nothing."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from html import escape
from typing import Any, Final
from urllib.parse import quote

from admin.api.schemas import properties, type_of
from admin.api.style import STYLE

Json = dict[str, Any]

LONG: Final = 80
"""Characters of JSON beyond which an example is broken into lines."""

_CODE: Final = re.compile(r"``?([^`]+)``?")


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} admin API</title><style>{style}</style></head><body>
<nav aria-label="Contents"><p class="brand">{title} <small>{version}</small></p>{contents}</nav>
<main><h1>{summary}</h1>{description}
<p>The same for programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI {openapi}).</p>
{operations}
<h2 id="problems">Problems</h2>
<p>Each is a <a href="#schema-ProblemDetails">ProblemDetails</a>, and nothing was changed.</p>
<div class="wide"><table><tbody>{problems}</tbody></table></div>
<h2 id="schemas">Schemas</h2>{schemas}
</main></body></html>
"""


def page(document: Json, base: str) -> str:
    """Render the page; ``base`` is how the reader reaches the API, for the examples."""
    info = document["info"]
    groups = _groups(document)
    schemas = sorted(document["components"]["schemas"].items())
    return _PAGE.format(
        title=escape(info["title"]),
        version=escape(info["version"]),
        summary=escape(info["summary"]),
        description=prose(info["description"]),
        openapi=escape(document["openapi"]),
        style=STYLE,
        contents=_contents(groups, [name for name, _ in schemas]),
        operations="".join(_group(tag, one, base) for tag, one in groups.items()),
        problems=_problems(document["components"]["responses"]),
        schemas="".join(_schema(name, schema) for name, schema in schemas),
    )


def prose(text: str) -> str:
    """Turn paragraphs with code in backticks into HTML."""
    paragraphs = text.strip().split("\n\n")
    return "".join(f"<p>{inline(paragraph)}</p>" for paragraph in paragraphs)


def inline(text: str) -> str:
    """Escape a text, with code where backticks are."""
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))


def _groups(document: Json) -> dict[str, list[Json]]:
    groups: dict[str, list[Json]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups[operation["tags"][0]].append({**operation, "method": method, "path": path})
    return groups


def _contents(groups: dict[str, list[Json]], schemas: list[str]) -> str:
    parts = []
    for tag, operations in groups.items():
        links = "".join(
            f'<li><a href="#{one["operationId"]}">{_verb(one["method"])}'
            f"<span>{escape(one['summary'])}</span></a></li>"
            for one in operations
        )
        parts.append(f'<p><a href="#tag-{escape(tag)}">{escape(tag)}</a></p><ul>{links}</ul>')
    links = "".join(f'<li><a href="#schema-{name}">{name}</a></li>' for name in schemas)
    parts.append('<p><a href="#problems">Problems</a></p>')
    return "".join(parts) + f'<p><a href="#schemas">Schemas</a></p><ul>{links}</ul>'


def _verb(method: str) -> str:
    return f'<b class="verb {method}">{method.upper()}</b>'


def _group(tag: str, operations: list[Json], base: str) -> str:
    described = "".join(_operation(one, base) for one in operations)
    return f'<h2 id="tag-{escape(tag)}">{escape(tag)}</h2>{described}'


def _operation(one: Json, base: str) -> str:
    return (
        f'<section id="{one["operationId"]}"><h3>{_verb(one["method"])} '
        f'<code>{escape(one["path"])}</code></h3><p class="summary">{escape(one["summary"])}</p>'
        + prose(one.get("description", ""))
        + _table("Parameters", ("name", "in", "type", ""), _parameters(one))
        + _body(one)
        + _table("Answers", ("status", "body", ""), _answers(one))
        + _refusals(one)
        + f"<pre><code>{escape(_curl(one, base))}</code></pre></section>"
    )


def _table(title: str, heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    if not body:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return (
        f'<h4>{escape(title)}</h4><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _parameters(one: Json) -> Iterator[tuple[str, ...]]:
    for parameter in one.get("parameters", ()):
        yield (
            f"<code>{escape(parameter['name'])}</code>",
            parameter["in"],
            type_of(parameter["schema"]),
            inline(parameter["description"]),
        )


def _body(one: Json) -> str:
    if "requestBody" not in one:
        return ""
    content = one["requestBody"]["content"]
    schema = next(iter(content.values()))["schema"]
    media = ", ".join(f"<code>{escape(name)}</code>" for name in content)
    note = inline(schema.get("description", ""))
    return f"<h4>Body</h4><p>{type_of(schema)} as {media}. {note}</p>"


def _answers(one: Json) -> Iterator[tuple[str, ...]]:
    for status, answer in one["responses"].items():
        if "$ref" not in answer:
            kinds = [type_of(kind["schema"]) for kind in answer.get("content", {}).values()]
            yield status, kinds[0] if kinds else "", inline(answer["description"])


def _refusals(one: Json) -> str:
    links = ", ".join(
        f'<a href="#problem-{status}">{status}</a>'
        for status, answer in one["responses"].items()
        if "$ref" in answer
    )
    return f"<p>Problems: {links}</p>"


def _problems(problems: Json) -> str:
    return "".join(
        f'<tr id="problem-{status}"><td>{status}</td><td>{inline(problem["description"])}</td></tr>'
        for status, problem in problems.items()
    )


def _curl(one: Json, base: str) -> str:
    path = one["path"]
    for parameter in one.get("parameters", ()):
        if parameter["in"] == "path":
            example = quote(str(parameter["schema"]["examples"][0]), safe=":")
            path = path.replace("{" + parameter["name"] + "}", example)
    method = "" if one["method"] == "get" else f"-X {one['method'].upper()} "
    lines = [f"curl {method}{shlex.quote(base + path)}"]
    if method:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if "requestBody" in one:
        media, content = next(iter(one["requestBody"]["content"].items()))
        text = json.dumps(content["example"])
        if len(text) > LONG:
            text = json.dumps(content["example"], indent=2)
        lines += [f"-H 'Content-Type: {media}'", f"-d {shlex.quote(text)}"]
    return " \\\n  ".join(lines)


def _schema(name: str, schema: Json) -> str:
    rows = (
        (
            f"<code>{escape(key)}</code>" + ('<sup title="required">*</sup>' if required else ""),
            type_of(value),
            f"<code>{escape(default)}</code>" if default else "",
            inline(value.get("description", "")),
        )
        for key, value, required, default in properties(schema)
    )
    return (
        f'<section id="schema-{escape(name)}"><h3>{escape(name)}</h3>'
        + prose(schema.get("description", ""))
        + ("" if "properties" in schema else f"<p>{type_of(schema)}</p>")
        + _table("", ("key", "type", "default", ""), rows)
        + "</section>"
    )
