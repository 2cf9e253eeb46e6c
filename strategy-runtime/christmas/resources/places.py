"""YAML documents as plain data that remembers the place of each field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml

from christmas.resources.problem import FieldPath, Problem, path_text

_MENDS: Final = {
    "\\t": "indent with spaces, not tabs",
    "tab character": "indent with spaces, not tabs",
    "quoted scalar": "close the quote",
    "flow sequence": "close the bracket",
    "flow mapping": "close the bracket",
    "flow node": "close the bracket",
    "mapping values": "start a new line, or quote a text that has a colon in it",
    "undefined alias": "define it before with &, or quote the text",
    "the tag": "leave the tag out: only plain values are read",
    "no end": "write the values out",
    "aliases stand for": "write the values out",
    "a key must be": "write a word before the colon",
}
"""By the parser's words for what it found."""
_NODES_MAXIMUM: Final = 100_000
"""Of one file, each alias counted with all that it stands for: a few lines of aliases can stand for billions."""
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Place(NamedTuple):
    """Line and column, from 1."""

    line: int
    column: int


class _Span(NamedTuple):
    start: int
    end: int
    style: str | None


class Document:
    """One YAML document: its data, and where every key and value of it stands."""

    def __init__(self, file: str, text: str, data: Any) -> None:
        self.file = file
        self.data = data
        self._text = text
        self.values: dict[FieldPath, Place] = {}
        self.keys: dict[FieldPath, Place] = {}
        self.spans: dict[FieldPath, _Span] = {}

    def place(self, path: FieldPath, *, on_key: bool = False) -> Place:
        """Where a field is; of one that is not there, its nearest parent's key."""
        first, second = (self.keys, self.values) if on_key else (self.values, self.keys)
        if path in first:
            return first[path]
        while path:
            if path in second:
                return second[path]
            path = path[:-1]
            first = second = self.keys
        return self.values.get((), Place(1, 1))

    def place_within(self, path: FieldPath, offset: int) -> Place:
        """Where the character at ``offset`` of a text field stands in the file.

        Follows the text through quotes, escapes of quotes, and folded or literal blocks: it pairs the
        field's characters one by one with the file's, whitespace standing for any whitespace.
        """
        span, value = self.spans.get(path), self._value(path)
        if span is None or not isinstance(value, str):
            return self.place(path)
        position = span.start
        if span.style in {"|", ">"}:
            position = self._text.index("\n", position) + 1
        elif span.style in {"'", '"'}:
            position += 1
        for character in value[:offset]:
            position = self._after(character, position, span.end)
        target = value[offset : offset + 1].strip()
        while target and position < span.end and self._text[position] != target:
            position += 1
        line_start = self._text.rfind("\n", 0, position) + 1
        return Place(self._text.count("\n", 0, position) + 1, position - line_start + 1)

    def problem(self, path: FieldPath, what: str, mend: str = "", *, on_key: bool = False) -> Problem:
        line, column = self.place(path, on_key=on_key)
        return Problem(file=self.file, line=line, column=column, path=path_text(path), what=what, mend=mend)

    def _after(self, character: str, position: int, end: int) -> int:
        if character.isspace():
            while position < end and self._text[position].isspace():
                position += 1
            return position
        while position < end and self._text[position] != character:
            position += 1
        return min(position + 1, end)

    def _value(self, path: FieldPath) -> Any:
        value = self.data
        for part in path:
            value = value[part]
        return value


def read_documents(text: str, file: str) -> tuple[list[Document], list[Problem]]:
    """The documents of a YAML (or JSON) text, empty ones left out; problems when it is not YAML."""
    documents: list[Document] = []
    problems: list[Problem] = []
    loader = _Loader(text)
    try:
        reading = _Reading(loader, problems)
        for node in _nodes(loader):
            document = Document(file, text, None)
            document.data = reading.plain(node, (), document)
            if document.data is not None:
                documents.append(document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = " ".join(part for part in (error.context, error.problem) if part)
        mend = next((mend for words, mend in _MENDS.items() if words in what), "mend the YAML at this place")
        problems.append(Problem(file=file, line=line, column=column, path="", what=f"not YAML: {what}", mend=mend))
    except yaml.reader.ReaderError as error:
        # Its position counts bytes with one loader and characters with the other.
        code = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "\0")
        at = max(0, text.find(chr(max(0, code))))
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        what = f"not YAML: the character U+{max(0, code):04X} cannot be in it"
        problems.append(Problem(file=file, line=line, column=column, path="", what=what, mend="take it out"))
    except RecursionError:
        what = "not a manifest: brackets within brackets, too many to be read"
        problems.append(Problem(file=file, line=1, column=1, path="", what=what, mend="nest less deeply"))
    except yaml.YAMLError as error:
        problems.append(Problem(file=file, line=1, column=1, path="", what=f"not YAML: {error}"))
    finally:
        loader.dispose()
    return documents, problems


def _nodes(loader: yaml.SafeLoader) -> Iterator[yaml.Node]:
    while loader.check_node():
        node = loader.get_node()
        if node is not None:
            yield node


class _Reading:
    """Turns the nodes of one file into plain data, and bounds what they may stand for."""

    def __init__(self, loader: yaml.SafeLoader, problems: list[Problem]) -> None:
        self._loader = loader
        self._problems = problems
        self._nodes = 0
        self._within: set[int] = set()
        """The nodes around this one: an alias of one of them has no end."""

    def plain(self, node: yaml.Node, path: FieldPath, document: Document) -> Any:
        self._nodes += 1
        if self._nodes > _NODES_MAXIMUM or id(node) in self._within:
            what = (
                f"its aliases stand for more than {_NODES_MAXIMUM} values"
                if self._nodes > _NODES_MAXIMUM
                else "an alias of what it is within has no end"
            )
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        document.values[path] = _place(node)
        if isinstance(node, yaml.ScalarNode):
            document.spans[path] = _Span(node.start_mark.index, node.end_mark.index, getattr(node, "style", None))
            return self._scalar(node, path, document)
        self._within.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path, document)
            return [self.plain(item, (*path, index), document) for index, item in enumerate(node.value)]
        finally:
            self._within.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: FieldPath, document: Document) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a word, not a list or a mapping", key_node.start_mark
                )
            key = str(self._scalar(key_node, path, document))
            child = (*path, key)
            if key in result:
                first = document.keys[child]
                self._tell(key_node, child, document, "written twice", f"the first is in line {first.line}; keep one")
                continue
            document.keys[child] = _place(key_node)
            result[key] = self.plain(value_node, child, document)
        return result

    def _scalar(self, node: yaml.ScalarNode, path: FieldPath, document: Document) -> Any:
        try:
            return self._loader.construct_object(node, deep=True)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            # What PyYAML's constructors raise for text that looks like a date, a number, base64 and is none.
            shown = node.value if len(node.value) <= 40 else f"{node.value[:40]}..."
            kind = node.tag.rpartition(":")[2]
            self._tell(node, path, document, f"{shown} is no {kind}", f'quote it to have it as text: "{shown}"')
            return node.value

    def _tell(self, node: yaml.Node, path: FieldPath, document: Document, what: str, mend: str) -> None:
        place = _place(node)
        self._problems.append(
            Problem(
                file=document.file, line=place.line, column=place.column, path=path_text(path), what=what, mend=mend
            )
        )


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)
