"""Structural schemas from msgspec models: types, bounds, defaults, descriptions and rules. Pure."""

from __future__ import annotations

import types
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Meta, Struct

from christmas_operator.crds.docstrings import class_text, field_texts
from christmas_operator.crds.rules import OF_FIELDS, OF_MODELS, fits

Schema = dict[str, Any]

_PATTERN_MAXIMUM: Final = 64
"""More than any text that fits has (a test holds it), so that one a little too long gets the pattern's words."""
_BOUNDS: Final = {"str": ("minLength", "maxLength"), "tuple": ("minItems", "maxItems"), "dict": ("", "maxProperties")}


def object_schema(model: type[Struct]) -> Schema:
    """The schema of a struct, its class docstring as the description."""
    texts, hints = field_texts(model), get_type_hints(model, include_extras=True)
    properties: Schema = {}
    required = []
    for field in msgspec.structs.fields(model):
        schema = value_schema(hints[field.name])
        if field.name in texts:
            schema["description"] = texts[field.name]
        rules = [rule.manifest() for rule in OF_FIELDS.get((model, field.name), ())]
        if rules:
            schema["x-kubernetes-validations"] = [*schema.get("x-kubernetes-validations", []), *rules]
        if field.required:
            required.append(field.encode_name)
        else:
            default = field.default if field.default_factory is NODEFAULT else field.default_factory()
            if default is not None and default not in ((), {}):
                schema["default"] = _whole(default)
        properties[field.encode_name] = schema
    made: Schema = {"type": "object", "description": class_text(model), "properties": properties}
    if required:
        made["required"] = required
    rules = [rule.manifest() for rule in OF_MODELS.get(model, ())]
    if rules:
        made["x-kubernetes-validations"] = rules
    return made


def _whole(default: Any) -> Any:
    """A default with its own defaults: the API server checks it as it stands."""
    if not isinstance(default, Struct):
        return msgspec.to_builtins(default)
    values = {field.encode_name: getattr(default, field.name) for field in msgspec.structs.fields(default)}
    return {name: _whole(value) for name, value in values.items() if value is not None and value not in ((), {})}


def value_schema(annotation: Any) -> Schema:
    """The schema of a value. Raises TypeError for what has no structural schema, or no bound."""
    metas = []
    if get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)
        metas = [extra for extra in extras if isinstance(extra, Meta)]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        return _union([argument for argument in arguments if argument is not type(None)])
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return object_schema(annotation)
    schema: Schema
    if annotation is str:
        schema = {"type": "string"}
    elif annotation is bool:
        schema = {"type": "boolean"}
    elif annotation is int:
        schema = {"type": "integer", "format": "int64"}
    elif annotation is float:
        schema = {"type": "number"}
    elif origin is tuple:
        schema = {"type": "array", "items": value_schema(arguments[0]), "x-kubernetes-list-type": "atomic"}
    elif origin is dict:
        schema = {"type": "object", "additionalProperties": value_schema(arguments[1])}
    else:
        raise TypeError(f"{annotation} has no structural schema")
    for meta in metas:
        _bound(schema, meta, (origin or annotation).__name__)
    return schema


def _union(choices: list[Any]) -> Schema:
    if len(choices) == 1:
        return value_schema(choices[0])
    # A parameter: the operator looks at it, which knows what it is for.
    return {"x-kubernetes-preserve-unknown-fields": True}


def _bound(schema: Schema, meta: Meta, kind: str) -> None:
    if meta.description:
        schema["description"] = meta.description
    lower, upper = _BOUNDS.get(kind, ("", ""))
    if lower and meta.min_length is not None:
        schema[lower] = meta.min_length
    if upper and meta.max_length is not None:
        schema[upper] = meta.max_length
    for name, bound, exclusive in (("minimum", meta.ge, meta.gt), ("maximum", meta.le, meta.lt)):
        if bound is not None or exclusive is not None:
            schema[name] = bound if bound is not None else exclusive
        if exclusive is not None:
            schema[f"exclusive{name.capitalize()}"] = True
    if meta.pattern is not None:
        schema.setdefault("maxLength", _PATTERN_MAXIMUM)
        rule = fits(meta.pattern, (meta.description or f"a text like {meta.pattern}").removesuffix("."))
        schema["x-kubernetes-validations"] = [rule.manifest()]


def status_schema(model: type[Struct]) -> Schema:
    """Of what only the operator writes: types and descriptions; its bounds are the operator's own."""
    schema = _unbounded(model)
    schema["properties"]["conditions"]["x-kubernetes-list-type"] = "map"
    schema["properties"]["conditions"]["x-kubernetes-list-map-keys"] = ["type"]
    return schema


def _unbounded(model: type[Struct]) -> Schema:
    hints, texts = get_type_hints(model, include_extras=True), field_texts(model)
    properties = {}
    for field in msgspec.structs.fields(model):
        annotation = hints[field.name]
        if get_origin(annotation) is tuple:
            items = _unbounded(get_args(annotation)[0])
            schema: Schema = {"type": "array", "maxItems": 16, "items": items}
        else:
            schema = value_schema(annotation)
        if schema["type"] == "string" and "enum" not in schema:
            schema["maxLength"] = 4096
        if field.name in texts:
            schema["description"] = texts[field.name]
        properties[field.encode_name] = schema
    required = [field.encode_name for field in msgspec.structs.fields(model) if field.required]
    made: Schema = {"type": "object", "description": class_text(model), "properties": properties}
    return {**made, "required": required} if required else made
