"""Read YAML and remember on which line everything stands.

In bounded time and memory, whatever the text; and what YAML 1.1 would silently read as something else is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml
from yaml.reader import Reader

Loc: TypeAlias = tuple[str | int, ...]

MAX_DEPTH = 32
MAX_NODES = 300_000
"""Keys, values, lists and mappings: three machines of 7,000 signals with five entries each have 252,000."""

MAX_KEY = 200
MAX_NUMBER = 64

_SHOWN: Final = 60
_OF_YAML: Final = "tag:yaml.org,2002:"
_MERGE: Final = f"{_OF_YAML}merge"
_OCTAL: Final = re.compile(r"[-+]?0[0-7_]+\Z")
_NO_TEXT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_TABBED: Final = re.compile(r" *(?:- *)*\t")


class YamlError(ValueError):
    """A text that is not YAML, or not the YAML that we accept; `line` counts from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


class WrittenInt(int):
    """A whole number that was written otherwise than Python does (`0x1F`, `1_000`): a name is what was `written`."""

    written: str


class WrittenFloat(float):
    """A number that was written otherwise than Python does (`1.10`): a name is what was `written`."""

    written: str


@dataclass(slots=True)
class Document:
    """A YAML document as plain data, and the line of each key (or list entry) by its path.

    `words` has what was written where YAML reads a word as true or false, `taken_over` the place of the template that
    something takes over.
    """

    data: Any = None
    lines: dict[Loc, int] = field(default_factory=dict)
    words: dict[Loc, str] = field(default_factory=dict)
    taken_over: dict[Loc, Loc] = field(default_factory=dict)

    def line(self, loc: Loc) -> int:
        """Return the line of `loc`, or of the nearest thing around it, in its template where it stands only there."""
        own, there = self._nearest(loc), self._in_template(loc)
        if there is not None:
            found = self._nearest(there)
            if len(found) - len(there) > len(own) - len(loc):
                own = found
        return self.lines.get(own, 1)

    def word(self, loc: Loc) -> str | None:
        """Return what was written at `loc` where YAML reads true or false."""
        there = self._in_template(loc)
        return self.words.get(loc if there is None or loc in self.lines else there)

    def _nearest(self, loc: Loc) -> Loc:
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return loc

    def _in_template(self, loc: Loc) -> Loc | None:
        for length in range(len(loc), 0, -1):
            if (template := self.taken_over.get(loc[:length])) is not None:
                return (*template, *loc[length:])
        return None


@dataclass(slots=True)
class _Mark:
    """A place in the text, from 0; a node has two, and those of the library take four times the memory."""

    line: int
    column: int
    index: int


class _Loader(yaml.SafeLoader):
    """Composes at most `MAX_NODES` nodes, at most `MAX_DEPTH` in each other: it calls itself for each level."""

    depth = 0
    nodes = 0

    def get_mark(self) -> _Mark:  # type: ignore[override]  # it has what a loader asks of a mark
        """Return where the reader is."""
        return _Mark(self.line, self.column, self.index)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node; raise YamlError when it stands too deep, or too many came before."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise YamlError(self.line + 1, f"more than {MAX_NODES} keys and values")
        if self.depth > MAX_DEPTH:
            raise YamlError(self.line + 1, f"more than {MAX_DEPTH} levels deep")
        self.depth += 1
        try:
            node: yaml.Node | None = super().compose_node(parent, index)
            return node
        finally:
            self.depth -= 1


# a day and an hour stay the text that they are: no entry of a plant file is a time
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag != f"{_OF_YAML}timestamp"]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse(text: str) -> Document:
    """Parse one YAML document; keys are always text as written (`no:` is "no"). Raises YamlError."""
    if odd := Reader.NON_PRINTABLE.search(text):
        raise YamlError(_line_at(text, odd.start()), _unprintable(text, odd.start()))
    loader = _Loader(text)
    document = Document()
    try:
        root = loader.get_single_node()
        if root is not None:
            document.lines[()] = root.start_mark.line + 1
            document.data = _build(loader, root, (), document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(1 if mark is None else mark.line + 1, _explain(error, text)) from error
    except yaml.YAMLError as error:
        raise YamlError(1, f"this is not YAML: {error}") from error
    finally:
        loader.dispose()
    return document


def _line_at(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _unprintable(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    before = text[max(start, position - _SHOWN) : position].strip()
    where = f" behind {before!r}" if before else ""
    return f"the control character U+{ord(text[position]):04X} stands here{where}: delete it"


def _explain(error: yaml.MarkedYAMLError, text: str) -> str:
    problem = error.problem or error.context or "cannot be read"
    mark = error.problem_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    if "found character '\\t'" in problem or _TABBED.match(line):
        return "a tab stands where YAML wants spaces: indent with spaces"
    if "mapping values are not allowed" in problem and mark is not None:
        return "this line cannot have a second `key: value`: check the indentation, or put the value in quotes"
    shown = f" near {line.strip()[:_SHOWN]!r}" if line.strip() else ""
    return f"this is not YAML{shown}: {problem}"


def _build(loader: yaml.SafeLoader, node: yaml.Node, loc: Loc, document: Document) -> Any:
    line = node.start_mark.line + 1
    if len(loc) > MAX_DEPTH:
        raise YamlError(line, f"more than {MAX_DEPTH} levels deep")
    if len(document.lines) > MAX_NODES:
        raise YamlError(line, f"more than {MAX_NODES} entries")
    if not node.tag.startswith(_OF_YAML):
        raise YamlError(line, f"the tag {node.tag[:_SHOWN]!r} is not known: delete it, or put the value in quotes")
    if isinstance(node, yaml.MappingNode):
        return _build_mapping(loader, node, loc, document)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, child in enumerate(node.value):
            document.lines[(*loc, index)] = child.start_mark.line + 1
            items.append(_build(loader, child, (*loc, index), document))
        return items
    return _scalar(loader, node, loc, document)


def _scalar(loader: yaml.SafeLoader, node: yaml.Node, loc: Loc, document: Document) -> Any:
    line, written = node.start_mark.line + 1, str(node.value)
    kind = node.tag.removeprefix(_OF_YAML)
    if odd := _NO_TEXT.search(written):
        raise YamlError(line, f"{written[:_SHOWN]!r} has the character U+{ord(odd[0]):04X}, which no text can have")
    if kind in ("int", "float"):
        _check_number(written, line)
    try:
        value = loader.construct_object(node, deep=True)
    except (ValueError, OverflowError, LookupError, AttributeError) as error:  # so a constructor says `!!int x`
        raise YamlError(line, f"{written[:_SHOWN]!r} is no {kind}") from error
    if isinstance(value, bool):
        document.words[loc] = written
    elif isinstance(value, int | float) and str(value) != written:
        value = WrittenInt(value) if isinstance(value, int) else WrittenFloat(value)
        value.written = written
    return value


def _check_number(written: str, line: int) -> None:
    """Raise YamlError for what YAML 1.1 takes for a number and hardly anybody means so."""
    if len(written) > MAX_NUMBER:
        raise YamlError(line, f"a number of {len(written)} characters: put it in quotes if it is a text")
    if ":" in written:
        raise YamlError(line, f"{written} is a number to the base 60 in YAML: put it in quotes if it is a time")
    if _OCTAL.match(written):
        raise YamlError(line, f"{written} is an octal number in YAML: put it in quotes, or leave out the first 0")


def _build_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode, loc: Loc, document: Document) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, (key, child) in _entries(node, {}).items():
        document.lines[(*loc, name)] = key.start_mark.line + 1
        result[name] = _build(loader, child, (*loc, name), document)
    return result


_Entries: TypeAlias = Mapping[str, tuple[yaml.Node, yaml.Node]]


def _entries(node: yaml.MappingNode, known: dict[int, _Entries]) -> _Entries:
    """Return key and value by name, those that it merges (`<<`) first; a mapping's own go before merged ones.

    `known` has what was found of other nodes: each is merged once, however often it is named.
    """
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = {}  # of one that merges itself
    merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, child in node.value:
        if key.tag == _MERGE:
            for name, entry in _merged(child, known).items():
                merged.setdefault(name, entry)
            continue
        name = _name(key)
        if name in own:
            first = own[name][0].start_mark.line + 1
            raise YamlError(key.start_mark.line + 1, f"the key {name!r} stands here twice (first on line {first})")
        own[name] = key, child
    known[id(node)] = {name: entry for name, entry in merged.items() if name not in own} | own
    return known[id(node)]


def _merged(node: yaml.Node, known: dict[int, _Entries]) -> _Entries:
    sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
    found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for source in sources:
        if not isinstance(source, yaml.MappingNode):
            raise YamlError(
                node.start_mark.line + 1, "what `<<` names must be a mapping (`<<: *name`), or a list of them"
            )
        for name, entry in _entries(source, known).items():
            found.setdefault(name, entry)
    return found


def _name(key: yaml.Node) -> str:
    line = key.start_mark.line + 1
    if not isinstance(key, yaml.ScalarNode):
        raise YamlError(line, "a key must be a plain word")
    name = str(key.value)
    if len(name) > MAX_KEY:
        raise YamlError(line, f"a key of {len(name)} characters: {name[:_SHOWN]!r}…")
    if odd := _NO_TEXT.search(name):
        raise YamlError(line, f"the key {name!r} has the character U+{ord(odd[0]):04X}, which no text can have")
    return name
