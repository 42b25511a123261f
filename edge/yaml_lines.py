"""Read YAML and remember on which line everything stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

Loc: TypeAlias = tuple[str | int, ...]

MAX_DEPTH = 32
MAX_NODES = 500_000


class YamlError(ValueError):
    """A text that is not YAML, or not the YAML that we accept; `line` counts from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


@dataclass(slots=True)
class Document:
    """A YAML document as plain data, and the line of each key (or list entry) by its path."""

    data: Any = None
    lines: dict[Loc, int] = field(default_factory=dict)

    def line(self, loc: Loc) -> int:
        """Return the line of `loc`, or of the nearest thing around it."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)


def parse(text: str) -> Document:
    """Parse one YAML document; keys are always text as written (`no:` is "no"). Raises YamlError."""
    loader = yaml.SafeLoader(text)
    document = Document()
    try:
        root = loader.get_single_node()
        if root is not None:
            document.lines[()] = root.start_mark.line + 1
            document.data = _build(loader, root, (), document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(1 if mark is None else mark.line + 1, _explain(error, text)) from error
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, YamlError):
            raise
        raise YamlError(1, f"this is not YAML: {error}") from error
    finally:
        loader.dispose()
    return document


def _explain(error: yaml.MarkedYAMLError, text: str) -> str:
    problem = error.problem or error.context or "cannot be read"
    if "found character '\\t'" in problem:
        return "a tab stands where YAML wants spaces: indent with spaces"
    mark = error.problem_mark
    if "mapping values are not allowed" in problem and mark is not None:
        return "this line cannot have a second `key: value`: check the indentation, or put the value in quotes"
    lines = text.splitlines()
    shown = f" near {lines[mark.line].strip()[:60]!r}" if mark is not None and mark.line < len(lines) else ""
    return f"this is not YAML{shown}: {problem}"


def _build(loader: yaml.SafeLoader, node: yaml.Node, loc: Loc, document: Document) -> Any:
    line = node.start_mark.line + 1
    if len(loc) > MAX_DEPTH:
        raise YamlError(line, f"more than {MAX_DEPTH} levels deep")
    if len(document.lines) > MAX_NODES:
        raise YamlError(line, f"more than {MAX_NODES} entries")
    if isinstance(node, yaml.MappingNode):
        return _build_mapping(loader, node, loc, document)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, child in enumerate(node.value):
            document.lines[(*loc, index)] = child.start_mark.line + 1
            items.append(_build(loader, child, (*loc, index), document))
        return items
    return loader.construct_object(node, deep=True)


def _build_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode, loc: Loc, document: Document) -> dict[str, Any]:
    own = {id(key) for key, _ in node.value}
    loader.flatten_mapping(node)
    result: dict[str, Any] = {}
    first: dict[str, int] = {}
    for key, child in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError(line, "a key must be a plain word")
        name = str(key.value)
        if name in first and id(key) in own:
            raise YamlError(line, f"the key {name!r} stands here twice (first on line {first[name]})")
        if id(key) in own:
            first[name] = line
        document.lines[(*loc, name)] = line
        result[name] = _build(loader, child, (*loc, name), document)
    return result
