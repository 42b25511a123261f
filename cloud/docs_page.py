"""The OpenAPI document as a page to read, made here: it needs no script and nothing from another web site."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter()

_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:1em auto;padding:0 1em;color:#1c2733}
a{color:#0b63b6}code{background:#f3f6f9;padding:0 .25em}div{overflow-x:auto}p,td{overflow-wrap:anywhere}
section{border:1px solid #d5dde5;border-radius:6px;margin:1em 0;padding:.3em 1em}
h2{font:600 16px/1.6 ui-monospace,monospace;overflow-wrap:anywhere}h2 b{color:#0b63b6}
pre{background:#f3f6f9;padding:.7em;overflow:auto}
td p{margin:0}td,th{text-align:left;vertical-align:top;padding:.15em .8em .15em 0}
@media(prefers-color-scheme:dark){body{background:#12181f;color:#d7dee6}section{border-color:#303c48}
pre,code{background:#1b242d}a,h2 b{color:#76aee4}}
"""


def _prose(text: str) -> str:
    """Return a description as paragraphs; what stands in backticks is code."""
    parts = (re.sub("`([^`]+)`", r"<code>\1</code>", " ".join(escape(part).split())) for part in text.split("\n\n"))
    return "".join(f"<p>{part}</p>" for part in parts if part)


def _resolve(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    return schema if reference is None else document["components"]["schemas"][reference.rsplit("/", 1)[-1]]


def example_of(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> Any:
    """Return an example of a schema: its own, or one made of the examples of its members."""
    schema = _resolve(document, schema)
    if "examples" in schema:
        return schema["examples"][0]
    if depth < 8 and "properties" in schema:
        return {name: example_of(document, part, depth + 1) for name, part in schema["properties"].items()}
    if depth < 8 and schema.get("type") == "array":
        return [example_of(document, schema["items"], depth + 1)]
    for choice in schema.get("anyOf", schema.get("oneOf", [])):
        return example_of(document, choice, depth + 1)
    plain = {"string": "…", "integer": 1, "number": 1.5, "boolean": True}
    return schema.get("default", next(iter(schema.get("enum", [])), plain.get(schema.get("type", ""))))


def _example(document: Mapping[str, Any], content: Mapping[str, Any]) -> Iterator[str]:
    for media_type, said in content.items():
        schema = said.get("schema", {})
        if media_type == "application/json":
            text = orjson.dumps(example_of(document, schema), option=orjson.OPT_INDENT_2).decode()
        else:
            text = str(said.get("example", ""))
        yield f"<p>{escape(media_type)}</p>" + (f"<pre>{escape(text)}</pre>" if text else "")


def _operation(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<section><h2><b>{method.upper()}</b> {escape(path)}</h2>{_prose(operation.get('description', ''))}"
    if parameters := operation.get("parameters", []):
        yield "<div><table><tr><th>parameter<th>in<th>example<th>meaning</tr>"
        for parameter in parameters:
            schema = parameter["schema"]
            example = schema.get("examples", [schema.get("default", "")])[0]
            cells = (parameter["name"], parameter["in"], str(example))
            yield "<tr>" + "".join(f"<td>{escape(cell)}" for cell in cells)
            yield f"<td>{_prose(parameter.get('description', ''))}</tr>"
        yield "</table></div>"
    if body := operation.get("requestBody"):
        yield "<h3>Request</h3>"
        yield from _example(document, body["content"])
    for status, response in operation["responses"].items():
        if status < "300":
            yield f"<h3>{status}</h3>{_prose(response.get('description', ''))}"
            yield from _example(document, response.get("content", {}))
    problems = [f"{status} {r['description']}" for status, r in operation["responses"].items() if status >= "400"]
    yield f"<p>Problems: {escape(', '.join(problems) or 'none')}</p></section>"


def page(document: Mapping[str, Any]) -> str:
    """Return the page."""
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>",
        f"<title>{escape(document['info']['title'])} API</title><link rel='icon' href='/favicon.svg'>",
        f"<style>{_STYLE}</style><p><a href='/'>← Plant · 工厂</a></p><h1>{escape(document['info']['title'])} API</h1>",
        _prose(document["info"]["description"]),
        "<p>The same for programs: <a href='openapi.json'>openapi.json</a></p>",
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts += _operation(document, method, path, operation)
    return "".join(parts)


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    """Return the documentation of all addresses."""
    return HTMLResponse(page(request.app.openapi()))
