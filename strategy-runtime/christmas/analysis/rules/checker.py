"""From syntax tree to checked tree: looks every name up, binds every call, and collects all that is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal, cast

from christmas.analysis.indicators.bar_floats import SOURCES
from christmas.analysis.indicators.base import Indicator
from christmas.analysis.indicators.parameters import Parameter, ParameterError
from christmas.analysis.rules.arithmetic import calculate
from christmas.analysis.rules.problems import RuleProblem
from christmas.analysis.rules.suggest import closest
from christmas.analysis.rules.syntax import (
    Argument,
    ArithmeticNode,
    AttributeNode,
    CallNode,
    ComparisonNode,
    ComparisonOperator,
    CrossNode,
    LogicalNode,
    NameNode,
    NegateNode,
    Node,
    NotNode,
    NumberNode,
    PastNode,
)
from christmas.analysis.rules.terms import (
    Arithmetic,
    BarField,
    Comparison,
    Condition,
    Constant,
    Crossing,
    Function,
    FunctionName,
    IndicatorUse,
    Logical,
    Negate,
    Number,
    Output,
    Past,
    PositionField,
    PositionFieldName,
    Term,
    looks_at_position,
)
from christmas.analysis.rules.text import number_text, text_of, use_text

MAXIMUM_BARS_AGO: Final = 500
Role = Literal["entry", "exit"]

_FUNCTIONS: Final[dict[str, tuple[int, int | None]]] = {"abs": (1, 1), "max": (2, None), "min": (2, None)}
"""Least and most arguments."""
_POSITION_FIELDS: Final = ("profit", "age")
_OPPOSITE: Final[dict[ComparisonOperator, ComparisonOperator]] = {
    "<": ">=",
    "<=": ">",
    ">": "<=",
    ">=": "<",
    "==": "!=",
    "!=": "==",
}


class Checker:
    """Checks one tree. ``problems`` fills as it goes; a method returns None for what it already complained about."""

    def __init__(self, registry: Mapping[str, type[Indicator]], role: Role) -> None:
        self._registry = registry
        self._role = role
        self.problems: list[RuleProblem] = []

    def rule(self, node: Node) -> Condition | None:
        term = self._term(node)
        if isinstance(term, Number):
            mend = f"compare it with something, for example {text_of(term)} > 0"
            self._complain(node, "a rule must be a condition, this is a number", mend)
        return term if isinstance(term, Condition) else None

    # --- dispatch --------------------------------------------------------------------------------

    def _term(self, node: Node) -> Term | None:
        match node:
            case NumberNode():
                return self._constant(node)
            case NameNode():
                return self._name(node)
            case CallNode():
                return self._call(node, None)
            case AttributeNode():
                return self._attribute(node)
            case PastNode():
                return self._past(node)
            case NegateNode():
                return self._negate(node)
            case ArithmeticNode():
                return self._arithmetic(node)
            case ComparisonNode():
                return self._comparison(node)
            case CrossNode():
                return self._crossing(node)
            case NotNode():
                operand = self._condition(node.operand, "not")
                return None if operand is None else _negated(operand)
            case LogicalNode():
                return self._logical(node)
        raise TypeError(f"not a node: {node!r}")

    def _number(self, node: Node, wanted_by: str) -> Number | None:
        term = self._term(node)
        if isinstance(term, Condition):
            message = f"{wanted_by} takes numbers, and this is a condition"
            self._complain(node, message, "join conditions with 'and' or 'or'")
            return None
        return cast("Number | None", term)

    def _condition(self, node: Node, word: str) -> Condition | None:
        term = self._term(node)
        if isinstance(term, Number):
            mend = f"compare it with something, for example {text_of(term)} > 0"
            self._complain(node, f"'{word}' joins conditions, and this is a number", mend)
            return None
        return cast("Condition | None", term)

    # --- numbers ---------------------------------------------------------------------------------

    def _constant(self, node: NumberNode) -> Number | None:
        if not math.isfinite(float(node.value)):
            self._complain(node, "this number is too large", "write a smaller one")
            return None
        return Constant(start=node.start, end=node.end, value=float(node.value))

    def _name(self, node: NameNode) -> Number | None:
        name = node.name
        if name in SOURCES:
            return BarField(start=node.start, end=node.end, name=name)
        if name == "position":
            self._complain(node, "position has several fields", "write position.profit or position.age")
        elif name in self._registry:
            call = _example(self._registry[name])
            self._complain(node, f"{name} is an indicator and must be called", f"write {call}")
        elif name in _FUNCTIONS:
            self._complain(node, f"{name} is a function and must be called", f"write {name}(close, open)")
        else:
            self._complain_unknown(node.start, node.end, name)
        return None

    def _attribute(self, node: AttributeNode) -> Number | None:
        target = node.target
        name_end = node.name_start + len(node.name)
        if isinstance(target, NameNode) and target.name == "position":
            return self._position_field(node, name_end)
        if isinstance(target, CallNode) and target.name in self._registry:
            return self._call(target, node)
        if isinstance(target, PastNode) and isinstance(target.target, CallNode):
            mend = f"put the brackets last: {target.target.name}(...).{node.name}[{number_text(target.bars)}]"
            self._complain_at(node.name_start, name_end, "an output must be named before the brackets", mend)
            return None
        if self._number(target, "'.'") is not None:
            message = "only indicators and position have parts"
            self._complain_at(node.name_start, name_end, message, f"leave out .{node.name}")
        return None

    def _position_field(self, node: AttributeNode, name_end: int) -> Number | None:
        if node.name not in _POSITION_FIELDS:
            match = closest(node.name, _POSITION_FIELDS)
            mend = f"did you mean position.{match}?" if match else "write position.profit or position.age"
            self._complain_at(node.name_start, name_end, f"position has no {node.name!r}", mend)
            return None
        if self._role == "entry":
            message = "an entry is decided before there is a position"
            self._complain(node, message, "use position.profit and position.age in the exit rule")
            return None
        return PositionField(start=node.start, end=node.end, name=cast("PositionFieldName", node.name))

    def _past(self, node: PastNode) -> Number | None:
        operand = self._number(node.target, "looking back")
        bars = node.bars
        if not isinstance(bars, int) or bars > MAXIMUM_BARS_AGO:
            message = f"bars ago must be a whole number from 0 to {MAXIMUM_BARS_AGO}, not {bars}"
            self._complain_at(node.bars_start, node.bars_end, message, "write close[1] for the last bar")
            return None
        if operand is None:
            return None
        if looks_at_position(operand):
            self._complain(node, "there is no history of a position", "leave the brackets out")
            return None
        if bars == 0 or isinstance(operand, Constant):
            return operand
        return Past(start=node.start, end=node.end, operand=operand, bars=bars)

    def _negate(self, node: NegateNode) -> Number | None:
        operand = self._number(node.operand, "'-'")
        if isinstance(operand, Constant):
            return Constant(start=node.start, end=node.end, value=-operand.value)
        return None if operand is None else Negate(start=node.start, end=node.end, operand=operand)

    def _arithmetic(self, node: ArithmeticNode) -> Number | None:
        left = self._number(node.left, f"'{node.operator}'")
        right = self._number(node.right, f"'{node.operator}'")
        if left is None or right is None:
            return None
        if node.operator == "/" and isinstance(right, Constant) and right.value == 0:
            self._complain(node.right, "this divides by zero", "divide by something else")
            return None
        if isinstance(left, Constant) and isinstance(right, Constant):
            value = calculate(node.operator, left.value, right.value)
            if not math.isfinite(value):
                self._complain(node, "the result is too large", "write a smaller number")
                return None
            return Constant(start=node.start, end=node.end, value=value)
        return Arithmetic(start=node.start, end=node.end, operator=node.operator, left=left, right=right)

    # --- calls -----------------------------------------------------------------------------------

    def _call(self, node: CallNode, attribute: AttributeNode | None) -> Number | None:
        if node.name in self._registry:
            use = self._use(node, self._registry[node.name])
            return self._output(node, attribute, use)
        if node.name in _FUNCTIONS:
            return self._function(node)
        for argument in node.arguments:
            self._term(argument.value)
        name_end = node.start + len(node.name)
        if node.name in SOURCES:
            mend = f"write {node.name}, or {node.name}[14] for its value 14 bars ago"
            self._complain_at(node.start, name_end, f"{node.name} is a field of the bar and is not called", mend)
        else:
            self._complain_unknown(node.start, name_end, node.name, calls_only=True)
        return None

    def _function(self, node: CallNode) -> Number | None:
        least, most = _FUNCTIONS[node.name]
        if len(node.arguments) < least or (most is not None and len(node.arguments) > most):
            wanted = "one number" if most == 1 else "two numbers or more"
            example = "abs(close - open)" if most == 1 else f"{node.name}(close, open)"
            self._complain(node, f"{node.name} takes {wanted}, not {len(node.arguments)}", f"write {example}")
        arguments = []
        for argument in node.arguments:
            if argument.keyword is not None:
                message = f"{node.name} has no named arguments"
                self._complain_at(argument.start, argument.end, message, f"leave out {argument.keyword}=")
            arguments.append(self._number(argument.value, node.name))
        checked = tuple(argument for argument in arguments if argument is not None)
        if len(checked) < least:
            return None
        name = cast("FunctionName", node.name)
        return Function(start=node.start, end=node.end, name=name, arguments=checked)

    def _output(self, node: CallNode, attribute: AttributeNode | None, use: IndicatorUse | None) -> Number | None:
        """The output that the text names, ``value`` when it names none and there is such."""
        outputs = self._registry[node.name].outputs
        if attribute is None:
            if "value" not in outputs:
                call = f"{node.name}(...)" if use is None else use_text(use)
                message = f"{node.name} has several outputs: {', '.join(outputs)}"
                self._complain(node, message, f"write which, for example {call}.{outputs[0]}")
                return None
            name, end = "value", node.end
        else:
            name, end = attribute.name, attribute.end
            if name not in outputs:
                match = closest(name, outputs)
                mend = f"did you mean .{match}?" if match else f"it has {', '.join(outputs)}"
                self._complain_at(attribute.name_start, end, f"{node.name} has no output {name!r}", mend)
                return None
        return None if use is None else Output(start=node.start, end=end, use=use, output=name)

    def _use(self, node: CallNode, kind: type[Indicator]) -> IndicatorUse | None:
        """The call bound to the indicator's parameters and source, or None after saying all that is wrong."""
        before = len(self.problems)
        source, rest = self._source(node, kind)
        given: dict[str, Argument] = {}
        values: dict[str, int | float] = {}
        by_name = {parameter.name: parameter for parameter in kind.parameters}
        for position, argument in enumerate(rest):
            parameter = self._parameter(node, kind, by_name, position, argument)
            if parameter is None:
                continue
            if parameter.name in given:
                message = f"{kind.name}: {parameter.name} is given twice"
                self._complain_at(argument.start, argument.end, message, "leave one out")
                continue
            given[parameter.name] = argument
            value = self._value(kind, parameter, argument)
            if value is not None:
                values[parameter.name] = value
        if len(self.problems) > before:
            return None
        try:
            bound = kind.bind((), values)
        except ParameterError as error:
            at = given.get(error.parameter or "")
            start, end = (at.start, at.end) if at else (node.start, node.end)
            self._complain_at(start, end, str(error), "change one of its arguments")
            return None
        return IndicatorUse(name=kind.name, arguments=tuple(bound.items()), source=source)

    def _source(self, node: CallNode, kind: type[Indicator]) -> tuple[Number | None, list[Argument]]:
        """What the indicator reads, and the call's other arguments.

        The source is named (``source=volume``) or stands first (``ema(rsi(14), 9)``); without one a series
        indicator reads the close.
        """
        rest = list(node.arguments)
        named = [argument for argument in rest if argument.keyword == "source"]
        rest = [argument for argument in rest if argument.keyword != "source"]
        first = rest.pop(0) if rest and rest[0].keyword is None and not _is_plain(rest[0].value) else None
        sources = named + ([first] if first else [])
        if not sources:
            close = BarField(start=node.start, end=node.end, name="close")
            return (close if kind.source_kind == "series" else None), rest
        if kind.source_kind == "bar":
            for argument in sources:
                message = f"{kind.name} reads whole bars and takes no source"
                mend = f"write {_example(kind)}"
                self._complain_at(argument.start, argument.end, message, mend)
            return None, rest
        if len(sources) > 1:
            at = sources[1]
            self._complain_at(at.start, at.end, f"{kind.name} is given two sources", "leave one out")
        source = self._number(sources[0].value, f"{kind.name}'s source")
        if source is not None and looks_at_position(source):
            self._complain(sources[0].value, "there is no history of a position", "read a field of the bar")
        if isinstance(source, Constant):
            self._complain(sources[0].value, f"{kind.name} of a constant is the constant", "read a field of the bar")
        return source, rest

    def _parameter(
        self, node: CallNode, kind: type[Indicator], by_name: Mapping[str, Parameter], position: int, argument: Argument
    ) -> Parameter | None:
        if argument.keyword is None:
            if position < len(kind.parameters):
                return kind.parameters[position]
            count = len(kind.parameters)
            takes = f"at most {count} number{'s' if count > 1 else ''}" if count else "no numbers"
            message = f"{kind.name} takes {takes}"
            self._complain_at(argument.start, argument.end, message, f"write {_example(kind)}")
            return None
        found = by_name.get(argument.keyword)
        if found is None:
            known = [*by_name, "source"] if kind.source_kind == "series" else list(by_name)
            match = closest(argument.keyword, known)
            mend = f"did you mean {match!r}?" if match else f"it has {', '.join(known) or 'none'}"
            end = argument.start + len(argument.keyword)
            self._complain_at(argument.start, end, f"{kind.name} has no parameter {argument.keyword!r}", mend)
        return found

    def _value(self, kind: type[Indicator], parameter: Parameter, argument: Argument) -> int | float | None:
        least, most = number_text(parameter.minimum), number_text(parameter.maximum)
        whole = "a whole number" if parameter.type is int else "a number"
        wanted = f"{whole} from {least} to {most}"
        value = _plain_value(argument.value)
        if value is None:
            message = f"{kind.name}: {parameter.name} must be written as a number"
            self._complain(argument.value, message, f"write {wanted}")
        elif not parameter.minimum <= value <= parameter.maximum or (parameter.type is int and value != int(value)):
            message = f"{kind.name}: {parameter.name} must be {wanted}, not {_shown(value)}"
            self._complain(argument.value, message, f"write {wanted}")
            return None
        return value

    # --- conditions ------------------------------------------------------------------------------

    def _comparison(self, node: ComparisonNode) -> Condition | None:
        operands = [self._number(operand, "a comparison") for operand in node.operands]
        parts: list[Condition] = []
        for index, operator in enumerate(node.operators):
            left, right = operands[index], operands[index + 1]
            if left is None or right is None:
                continue
            start, end = node.operands[index].start, node.operands[index + 1].end
            if self._is_variable(left, right, start, end):
                parts.append(Comparison(start=start, end=end, operator=operator, left=left, right=right))
        if len(parts) < len(node.operators):
            return None
        return (
            parts[0]
            if len(parts) == 1
            else Logical(start=node.start, end=node.end, operator="and", operands=tuple(parts))
        )

    def _crossing(self, node: CrossNode) -> Condition | None:
        left = self._number(node.left, "'crosses'")
        right = self._number(node.right, "'crosses'")
        if left is None or right is None or not self._is_variable(left, right, node.start, node.end):
            return None
        if looks_at_position(left) or looks_at_position(right):
            message = "there is no history of a position that could cross"
            self._complain(node, message, "compare with > or < instead")
            return None
        return Crossing(start=node.start, end=node.end, direction=node.direction, left=left, right=right)

    def _is_variable(self, left: Number, right: Number, start: int, end: int) -> bool:
        if isinstance(left, Constant) and isinstance(right, Constant):
            message = "both sides are constant, so this never changes"
            self._complain_at(start, end, message, "compare with a field or an indicator")
            return False
        return True

    def _logical(self, node: LogicalNode) -> Condition | None:
        operands: list[Condition] = []
        for operand in node.operands:
            term = self._condition(operand, node.operator)
            if isinstance(term, Logical) and term.operator == node.operator:
                operands.extend(term.operands)
            elif term is not None:
                operands.append(term)
        if not operands:
            return None
        return Logical(start=node.start, end=node.end, operator=node.operator, operands=tuple(operands))

    # --- complaints ------------------------------------------------------------------------------

    def _complain(self, node: Node, message: str, mend: str) -> None:
        self._complain_at(node.start, node.end, message, mend)

    def _complain_at(self, start: int, end: int, message: str, mend: str) -> None:
        self.problems.append(RuleProblem(start + 1, max(1, end - start), message, mend))

    def _complain_unknown(self, start: int, end: int, name: str, *, calls_only: bool = False) -> None:
        fields = [] if calls_only else [*SOURCES, "position"]
        match = closest(name, [*self._registry, *_FUNCTIONS, *fields])
        if calls_only:
            message = f"there is no indicator or function {name!r}"
            known = sorted([*self._registry, *_FUNCTIONS])
        else:
            message = f"there is nothing named {name!r}"
            known = [*fields, "and indicators such as rsi(14)"]
        mend = f"did you mean '{match}'?" if match else f"known are {', '.join(known)}"
        self._complain_at(start, end, message, mend)


def _negated(term: Condition) -> Condition:
    """The condition that holds where ``term``, with all its numbers defined, does not (De Morgan)."""
    match term:
        case Comparison(start=start, end=end, operator=operator, left=left, right=right):
            return Comparison(start=start, end=end, operator=_OPPOSITE[operator], left=left, right=right)
        case Crossing(start=start, end=end, direction=direction, left=left, right=right, negated=negated):
            return Crossing(start=start, end=end, direction=direction, left=left, right=right, negated=not negated)
        case Logical(start=start, end=end, operator=operator, operands=operands):
            other: Literal["and", "or"] = "or" if operator == "and" else "and"
            return Logical(start=start, end=end, operator=other, operands=tuple(_negated(part) for part in operands))
    raise TypeError(f"not a condition: {term!r}")


def _is_plain(node: Node) -> bool:
    return _plain_value(node) is not None or (isinstance(node, NegateNode | ArithmeticNode) and _has_no_name(node))


def _has_no_name(node: Node) -> bool:
    match node:
        case NumberNode():
            return True
        case NegateNode(operand=operand):
            return _has_no_name(operand)
        case ArithmeticNode(left=left, right=right):
            return _has_no_name(left) and _has_no_name(right)
    return False


def _plain_value(node: Node) -> int | float | None:
    """The number that is written there, with or without a minus."""
    if isinstance(node, NumberNode):
        return node.value
    if isinstance(node, NegateNode) and isinstance(node.operand, NumberNode):
        return -node.operand.value
    return None


def _shown(value: int | float) -> str:
    return number_text(value) if math.isfinite(value) else "a number that large"


def _example(kind: type[Indicator]) -> str:
    return f"{kind.name}({', '.join(number_text(parameter.default) for parameter in kind.parameters)})"
