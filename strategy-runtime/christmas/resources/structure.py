"""Structural checks of plain data against the resource models: all problems at once, each with its mend.

msgspec stops at the first thing that does not fit; here the same types are walked field by field, and
msgspec judges each leaf on its own.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

from christmas.resources.meta import Percent
from christmas.resources.problem import FieldPath, did_you_mean

_BOUND: Final = re.compile(r"Expected `(?P<kind>\w+)`(?P<length> of length)? (?P<sign>[<>]=?) (?P<limit>[\d.]+)")
_WANTED: Final = re.compile(r"Expected `(?P<kind>\w+)(?: \| null)?`, got")
_KINDS: Final = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "object": "a mapping",
    "str": "a text",
}
S = TypeVar("S", bound=msgspec.Struct)


class Misfit(NamedTuple):
    path: FieldPath
    what: str
    mend: str
    on_key: bool = False


def misfits(data: Any, kind: type[msgspec.Struct]) -> list[Misfit]:
    """Everything in ``data`` that does not fit ``kind``; empty when `msgspec.convert` would take it."""
    found = list(_struct(data, kind, ()))
    if not found:
        try:
            msgspec.convert(data, kind)
        except msgspec.ValidationError as error:
            found.append(Misfit((), str(error), ""))
    return found


def _struct(data: Any, kind: type[msgspec.Struct], path: FieldPath) -> Iterator[Misfit]:
    if not isinstance(data, dict):
        yield Misfit(path, f"a mapping is wanted here, not {_named(data)}", "")
        return
    config = kind.__struct_config__
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    mistyped: set[str] = set()
    for key in data:
        if key not in fields and key != config.tag_field and config.forbid_unknown_fields:
            mend = did_you_mean(key, fields)
            mistyped.update(name for name in fields if mend == f"did you mean {name}?")
            yield Misfit((*path, key), "unknown field", mend, on_key=True)
    for name, field in fields.items():
        if name in data:
            yield from _value(data[name], field.type, (*path, name))
        elif field.required and name not in mistyped:
            yield Misfit(path, f"{name} is missing", f"add {name}: {_describe(field.type)}".rstrip(": "))


def _value(data: Any, annotation: Any, path: FieldPath) -> Iterator[Misfit]:
    base = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    origin, arguments = get_origin(base), get_args(base)
    if origin in {Union, types.UnionType}:
        structs = [argument for argument in arguments if _is_struct(argument)]
        if structs and data is not None:
            yield from _struct(data, structs[0], path)
            return
    if _is_struct(base):
        yield from _struct(data, base, path)
        return
    if origin is tuple and isinstance(data, list):
        before = len(path)
        inner = [misfit for index, item in enumerate(data) for misfit in _value(item, arguments[0], (*path, index))]
        yield from inner
        if any(len(misfit.path) > before for misfit in inner):
            return
    if origin is dict and isinstance(data, dict):
        inner = [misfit for key, item in data.items() for misfit in _value(item, arguments[1], (*path, key))]
        yield from inner
        if inner:
            return
    try:
        msgspec.convert(data, annotation)
    except msgspec.ValidationError as error:
        yield Misfit(path, *_explain(data, annotation, str(error)))


def _explain(data: Any, annotation: Any, message: str) -> tuple[str, str]:
    choices = _choices(annotation)
    if choices:
        return f"{data!r} is not one of {', '.join(choices)}", did_you_mean(data, choices)
    described = _describe(annotation)
    if isinstance(data, int | float) and not isinstance(data, bool) and "Expected `str" in message:
        percent = "%" if annotation in {Percent, Percent | None} else ""
        mend = f'quote it: "{data}{percent}"'
        return f"a text is wanted, not the number {data}", f"{mend}; {described}" if described else mend
    if isinstance(data, str) and "matching regex" in message:
        return f"{data!r} does not fit", described or message
    return _in_words(data, message, described)


def _in_words(data: Any, message: str, described: str) -> tuple[str, str]:
    """What msgspec expected, as a person would say it, and the mend."""
    bound = _BOUND.search(message)
    if bound is not None:
        kind, of_length, sign, limit = bound["kind"], bound["length"] is not None, bound["sign"], bound["limit"]
        within = (
            ("at least" if sign[0] == ">" else "at most")
            if "=" in sign
            else "more than"
            if sign == ">"
            else "less than"
        )
        if of_length:
            unit = "characters" if kind == "str" else "entries"
            return f"{len(data)} {unit} are too {'few' if sign[0] == '>' else 'many'}", f"{within} {limit} {unit}"
        return f"{data} is too {'small' if sign[0] == '>' else 'large'}", f"{within} {limit}"
    wanted = _WANTED.search(message)
    if wanted is None:
        return message.partition(" - at ")[0].replace("`", ""), described
    kind = wanted["kind"]
    what = f"{_KINDS.get(kind, kind)} is wanted, not {_named(data)}"
    mend = f"write [{data}]" if kind == "array" and isinstance(data, str) else described
    return what, mend or f"write {_KINDS.get(kind, kind)}"


def _choices(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return []


def _describe(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, msgspec.Meta) and (extra.description or extra.pattern):
                return (extra.description or f"a text like {extra.pattern}").removesuffix(".")
    for argument in get_args(annotation):
        described = _describe(argument)
        if described:
            return described
    return ""


def _is_struct(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def _named(data: Any) -> str:
    if data is None:
        return "nothing"
    if isinstance(data, list):
        return "a list"
    return f"{data!r}"
