"""The syntax tree: what the parser makes of a text, before any name is looked up."""

from __future__ import annotations

from typing import Literal

import msgspec

CrossDirection = Literal["above", "below"]
ComparisonOperator = Literal["<", "<=", ">", ">=", "==", "!="]
ArithmeticOperator = Literal["+", "-", "*", "/"]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """``start`` and ``end`` are indices into the text, ``end`` exclusive; ``depth`` counts levels below and this."""

    start: int
    end: int
    depth: int = 1


class NumberNode(Node, frozen=True, kw_only=True):
    value: int | float


class NameNode(Node, frozen=True, kw_only=True):
    name: str


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    keyword: str | None
    value: Node
    start: int
    """Of the keyword when there is one."""
    end: int


class CallNode(Node, frozen=True, kw_only=True):
    name: str
    arguments: tuple[Argument, ...]


class AttributeNode(Node, frozen=True, kw_only=True):
    """``target.name``."""

    target: Node
    name: str
    name_start: int


class PastNode(Node, frozen=True, kw_only=True):
    """``target[bars]``."""

    target: Node
    bars: int | float
    bars_start: int
    bars_end: int


class NegateNode(Node, frozen=True, kw_only=True):
    operand: Node


class ArithmeticNode(Node, frozen=True, kw_only=True):
    operator: ArithmeticOperator
    left: Node
    right: Node


class ComparisonNode(Node, frozen=True, kw_only=True):
    """``a < b <= c`` has three operands and two operators, and means ``a < b and b <= c``."""

    operators: tuple[ComparisonOperator, ...]
    operands: tuple[Node, ...]


class CrossNode(Node, frozen=True, kw_only=True):
    direction: CrossDirection
    left: Node
    right: Node


class NotNode(Node, frozen=True, kw_only=True):
    operand: Node


class LogicalNode(Node, frozen=True, kw_only=True):
    operator: Literal["and", "or"]
    operands: tuple[Node, ...]
