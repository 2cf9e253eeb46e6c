"""A Pratt parser for rules (Vaughan Pratt, "Top down operator precedence", 1973), bounded in length and depth.

From weak to strong: ``or``; ``and``; ``not``; comparisons and ``crosses``; ``+ -``; ``* /``; unary ``-``;
then ``.output`` and ``[bars ago]``.
"""

from __future__ import annotations

import math
from typing import Final, NoReturn, cast

from christmas.analysis.rules.problems import RuleProblem
from christmas.analysis.rules.suggest import closest
from christmas.analysis.rules.syntax import (
    Argument,
    ArithmeticNode,
    ArithmeticOperator,
    AttributeNode,
    CallNode,
    ComparisonNode,
    ComparisonOperator,
    CrossDirection,
    CrossNode,
    LogicalNode,
    NameNode,
    NegateNode,
    Node,
    NotNode,
    NumberNode,
    PastNode,
)
from christmas.analysis.rules.tokens import KEYWORDS, Token, tokenize

MAXIMUM_LENGTH: Final = 2000
"""Characters of a rule; the Strategy resource has the same bound."""
MAXIMUM_DEPTH: Final = 50

_OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _UNARY = 10, 20, 30, 40, 50, 60, 70
_COMPARISONS: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})
_BINDING: Final = {
    "or": _OR,
    "and": _AND,
    "crosses": _COMPARISON,
    **dict.fromkeys(_COMPARISONS, _COMPARISON),
    "+": _SUM,
    "-": _SUM,
    "*": _PRODUCT,
    "/": _PRODUCT,
}


class _Unparsable(Exception):
    """Carries the first syntax problem out of the recursion."""

    def __init__(self, problem: RuleProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def parse(text: str) -> tuple[Node | None, list[RuleProblem]]:
    """The tree of ``text``, or None and what is wrong: every foreign character, or the first syntax problem."""
    if len(text) > MAXIMUM_LENGTH:
        message = f"the rule has {len(text)} characters, at most {MAXIMUM_LENGTH} are taken"
        return None, [RuleProblem(MAXIMUM_LENGTH + 1, len(text) - MAXIMUM_LENGTH, message, "make it shorter")]
    tokens, problems = tokenize(text)
    if problems:
        return None, problems
    try:
        return _Parser(tokens).rule(), []
    except _Unparsable as error:
        return None, [error.problem]


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._nesting = 0

    def rule(self) -> Node:
        if len(self._tokens) == 1:
            self._fail(self._peek, "the rule is empty", "write a condition such as rsi(14) < 30")
        node = self._expression(0)
        if self._peek.kind != "end":
            self._fail_at_operator(self._peek)
        return node

    # --- tokens ----------------------------------------------------------------------------------

    @property
    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        if token.kind != "end":
            self._next += 1
        return token

    def _is(self, *texts: str) -> bool:
        return self._peek.kind != "end" and self._peek.text in texts

    def _expect(self, text: str, message: str, mend: str) -> Token:
        if not self._is(text):
            self._fail(self._peek, message, mend)
        return self._take()

    # --- expressions -----------------------------------------------------------------------------

    def _expression(self, binding: int) -> Node:
        self._nesting += 1
        if self._nesting > MAXIMUM_DEPTH:
            self._fail_too_deep(self._peek)
        left = self._prefix()
        while True:
            token = self._peek
            strength = 0 if token.kind == "end" else _BINDING.get(token.text, 0)
            if strength <= binding:
                break
            if strength in {_OR, _AND}:
                left = self._logical(left, strength)
            elif strength == _COMPARISON:
                left = self._comparison(left)
            else:
                self._take()
                right = self._expression(strength)
                operator = cast("ArithmeticOperator", token.text)
                depth = self._depth(token, left, right)
                left = ArithmeticNode(
                    start=left.start, end=right.end, depth=depth, operator=operator, left=left, right=right
                )
        self._nesting -= 1
        return left

    def _prefix(self) -> Node:
        token = self._take()
        if token.kind == "number":
            return self._postfix(_number(token))
        if self._is_operand_name(token):
            return self._postfix(self._call(token) if self._is("(") else _name(token))
        if token.text == "(":
            inner = self._expression(0)
            closing = self._expect(")", "the parenthesis is not closed", "add a )")
            return self._postfix(_spread(inner, token.start, closing.end))
        if token.text == "-":
            operand = self._expression(_UNARY)
            return NegateNode(start=token.start, end=operand.end, depth=self._depth(token, operand), operand=operand)
        if token.text == "not":
            operand = self._expression(_NOT)
            return NotNode(start=token.start, end=operand.end, depth=self._depth(token, operand), operand=operand)
        return self._fail_at_operand(token)

    def _is_operand_name(self, token: Token) -> bool:
        return token.kind == "name" and token.text not in KEYWORDS

    def _postfix(self, node: Node) -> Node:
        while self._is(".", "["):
            token = self._take()
            node = self._attribute(node, token) if token.text == "." else self._past(node, token)
        return node

    def _attribute(self, target: Node, dot: Token) -> Node:
        name = self._take()
        if name.kind == "number":
            self._fail(name, "a name must follow the dot", "write numbers with a digit before the dot, as 0.5")
        if name.kind != "name":
            self._fail(name, "a name must follow the dot", "write an output such as bollinger(20, 2).lower")
        return AttributeNode(
            start=target.start,
            end=name.end,
            depth=self._depth(dot, target),
            target=target,
            name=name.text,
            name_start=name.start,
        )

    def _past(self, target: Node, bracket: Token) -> Node:
        bars = self._take()
        if bars.kind != "number":
            self._fail(bars, "the brackets must hold how many bars ago, as a number", "write close[1] for the last bar")
        closing = self._expect("]", "the bracket is not closed", "add a ]")
        return PastNode(
            start=target.start,
            end=closing.end,
            depth=self._depth(bracket, target),
            target=target,
            bars=_number(bars).value,
            bars_start=bars.start,
            bars_end=bars.end,
        )

    def _call(self, name: Token) -> Node:
        opening = self._take()
        arguments: list[Argument] = []
        while not self._is(")"):
            if arguments:
                self._expect(",", "a comma or a closing parenthesis must follow the argument", "write rsi(14)")
            arguments.append(self._argument())
        closing = self._take()
        depth = self._depth(opening, *(argument.value for argument in arguments))
        return CallNode(start=name.start, end=closing.end, depth=depth, name=name.text, arguments=tuple(arguments))

    def _argument(self) -> Argument:
        token = self._peek
        if self._is_operand_name(token) and self._tokens[self._next + 1].text == "=":
            self._take()
            self._take()
            value = self._expression(0)
            return Argument(keyword=token.text, value=value, start=token.start, end=value.end)
        value = self._expression(0)
        return Argument(keyword=None, value=value, start=value.start, end=value.end)

    def _logical(self, left: Node, strength: int) -> Node:
        word = self._peek
        operands = [left]
        while self._is(word.text):
            self._take()
            operands.append(self._expression(strength))
        return LogicalNode(
            start=left.start,
            end=operands[-1].end,
            depth=self._depth(word, *operands),
            operator="and" if strength == _AND else "or",
            operands=tuple(operands),
        )

    def _comparison(self, left: Node) -> Node:
        first = self._peek
        if first.text == "crosses":
            return self._cross(left)
        operators: list[ComparisonOperator] = []
        operands = [left]
        while self._is(*_COMPARISONS):
            operators.append(cast("ComparisonOperator", self._take().text))
            operands.append(self._expression(_COMPARISON))
        if self._is("crosses"):
            self._fail_cross_chain(self._peek)
        return ComparisonNode(
            start=left.start,
            end=operands[-1].end,
            depth=self._depth(first, *operands),
            operators=tuple(operators),
            operands=tuple(operands),
        )

    def _cross(self, left: Node) -> Node:
        word = self._take()
        direction = self._take()
        if direction.text not in {"above", "below"}:
            self._fail(direction, "'crosses' must be followed by 'above' or 'below'", "write: crosses above 0")
        right = self._expression(_COMPARISON)
        if self._is("crosses", *_COMPARISONS):
            self._fail_cross_chain(self._peek)
        return CrossNode(
            start=left.start,
            end=right.end,
            depth=self._depth(word, left, right),
            direction=cast("CrossDirection", direction.text),
            left=left,
            right=right,
        )

    # --- failures --------------------------------------------------------------------------------

    def _depth(self, token: Token, *children: Node) -> int:
        depth = 1 + max((child.depth for child in children), default=0)
        if depth > MAXIMUM_DEPTH:
            self._fail_too_deep(token)
        return depth

    def _fail(self, token: Token, message: str, mend: str) -> NoReturn:
        raise _Unparsable(RuleProblem(token.start + 1, max(1, len(token.text)), message, mend))

    def _fail_too_deep(self, token: Token) -> NoReturn:
        message = f"the expression is nested, or its sums and products chained, more than {MAXIMUM_DEPTH} deep"
        self._fail(token, message, "make it simpler")

    def _fail_cross_chain(self, token: Token) -> NoReturn:
        self._fail(token, "'crosses' cannot be chained with another comparison", "join the two with 'and'")

    def _fail_at_operand(self, token: Token) -> NoReturn:
        wanted = "a number, a field, an indicator or a parenthesis must stand here"
        if token.kind == "end":
            self._fail(token, f"the rule ends too early: {wanted}", "complete it, for example rsi(14) < 30")
        if token.text == "+":
            self._fail(token, f"{wanted}, not '+'", "leave the sign out")
        if token.text == ".":
            self._fail(token, f"{wanted}, not '.'", "write numbers with a digit before the dot, as 0.5")
        if token.text == "=":
            self._fail(token, f"{wanted}, not '='", "write ==, <= or >=")
        self._fail(token, f"{wanted}, not '{token.text}'", "complete the expression, for example rsi(14) < 30")

    def _fail_at_operator(self, token: Token) -> NoReturn:
        if token.text == "=":
            self._fail(token, "'=' only gives an argument its name, as in source=volume", "compare with ==, <= or >=")
        if token.text == ")":
            self._fail(token, "this parenthesis was never opened", "take it out, or add a ( before")
        if token.text == "not":
            self._fail(token, "'not' stands before a condition", "write: and not rsi(14) < 30")
        if token.kind == "name":
            word = closest(token.text, ("and", "or", "crosses"))
            mend = f"did you mean '{word}'?" if word else "put 'and', 'or' or a comparison such as < between the two"
            self._fail(token, f"an operator must stand here, not '{token.text}'", mend)
        message = f"an operator must stand here, not '{token.text}'"
        self._fail(token, message, "put 'and', 'or' or a comparison such as < between the two")


def _name(token: Token) -> NameNode:
    return NameNode(start=token.start, end=token.end, name=token.text)


def _number(token: Token) -> NumberNode:
    value: int | float = int(token.text) if token.text.isdigit() else float(token.text)
    if isinstance(value, int) and value.bit_length() > 1000:
        value = math.inf  # no float holds it; the checker refuses it like 1e999
    return NumberNode(start=token.start, end=token.end, value=value)


def _spread(node: Node, start: int, end: int) -> Node:
    """The node with its parentheses, so that a caret line covers them."""
    fields = {name: getattr(node, name) for name in node.__struct_fields__} | {"start": start, "end": end}
    return type(node)(**fields)
