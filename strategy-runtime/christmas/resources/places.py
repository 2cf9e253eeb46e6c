"""YAML documents as plain data that remembers the place of each field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from christmas.resources.problem import FieldPath, Problem, path_text

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
        for node in _nodes(loader):
            document = Document(file, text, None)
            document.data = _plain(loader, node, (), document, problems)
            if document.data is not None:
                documents.append(document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = " ".join(part for part in (error.context, error.problem) if part)
        mend = "indent with spaces, not tabs" if "\\t" in what else ""
        problems.append(Problem(file=file, line=line, column=column, path="", what=f"not YAML: {what}", mend=mend))
    except (yaml.YAMLError, RecursionError) as error:
        problems.append(Problem(file=file, line=1, column=1, path="", what=f"not YAML: {error}"))
    finally:
        loader.dispose()
    return documents, problems


def _nodes(loader: yaml.SafeLoader) -> Iterator[yaml.Node]:
    while loader.check_node():
        node = loader.get_node()
        if node is not None:
            yield node


def _plain(
    loader: yaml.SafeLoader, node: yaml.Node, path: FieldPath, document: Document, problems: list[Problem]
) -> Any:
    document.values[path] = Place(node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(loader.construct_object(key_node, deep=True))
            child = (*path, key)
            place = Place(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key in result:
                first = document.keys[child]
                problems.append(
                    Problem(
                        file=document.file,
                        line=place.line,
                        column=place.column,
                        path=path_text(child),
                        what="written twice",
                        mend=f"the first is in line {first.line}; keep one",
                    )
                )
                continue
            document.keys[child] = place
            result[key] = _plain(loader, value_node, child, document, problems)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, item, (*path, index), document, problems) for index, item in enumerate(node.value)]
    document.spans[path] = _Span(node.start_mark.index, node.end_mark.index, getattr(node, "style", None))
    return loader.construct_object(node, deep=True)
