"""What is said about texts that are no rules."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from christmas.analysis.rules.parser import MAXIMUM_LENGTH
from christmas.analysis.rules.rule import CompiledRule, RuleError, compile_rule


def problems(text: str) -> list[tuple[int, int, str, str]]:
    with pytest.raises(RuleError) as caught:
        compile_rule(text)
    return [(found.column, found.length, found.message, found.mend) for found in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "at_fault", "message", "mend"),
    [
        # names
        ("rsy(14) < 30", "rsy", "there is no indicator or function 'rsy'", "did you mean 'rsi'?"),
        ("RSI(14) < 30", "RSI", "there is no indicator or function 'RSI'", "did you mean 'rsi'?"),
        ("clos > 1", "clos", "there is nothing named 'clos'", "did you mean 'close'?"),
        ("rsi < 30", "rsi", "rsi is an indicator and must be called", "write rsi(14)"),
        ("close(14) > 1", "close", "close is a field of the bar and is not called", "close[14]"),
        ("max > 1", "max", "max is a function and must be called", "write max(close, open)"),
        # outputs
        (
            "bollinger(20, 2) > close",
            "bollinger(20, 2)",
            "has several outputs: lower, middle",
            "bollinger(20, 2).lower",
        ),
        ("macd(12, 26, 9).histogramm > 0", "histogramm", "macd has no output", "did you mean .histogram?"),
        ("rsi(14).lower > 0", "lower", "rsi has no output 'lower'", "it has value"),
        ("bollinger(20, 2)[1].lower > 0", "lower", "an output must be named before", "bollinger(...).lower[1]"),
        ("close.high > 0", "high", "only indicators and position have parts", "leave out .high"),
        # parameters
        ("rsi(1) < 30", "1", "period must be a whole number from 2 to 10000, not 1", "from 2 to 10000"),
        ("rsi(14.5) < 30", "14.5", "must be a whole number from 2 to 10000, not 14.5", "from 2 to 10000"),
        ("rsi(-3) < 30", "-3", "must be a whole number from 2 to 10000, not -3", "from 2 to 10000"),
        ("rsi(2 * 7) < 30", "2 * 7", "period must be written as a number", "write a whole number"),
        ("rsi(14, 3) < 30", "3", "rsi takes at most 1 number", "write rsi(14)"),
        ("rsi(perid=14) < 30", "perid", "rsi has no parameter 'perid'", "did you mean 'period'?"),
        ("rsi(14, period=3) < 30", "period=3", "period is given twice", "leave one out"),
        ("macd(26, 12, 9).line > 0", "12", "slow must be more than fast", "change one"),
        ("ema(volume, 9, source=close) > 0", "volume", "ema is given two sources", "leave one out"),
        ("vwap(source=close) > 0", "source=close", "vwap reads whole bars", "write vwap(0)"),
        ("ema(position.age, 3) > 0", "position.age", "no history of a position", "read a field"),
        ("ema(source=3) > 0", "3", "ema of a constant", "read a field"),
        ("abs(close, open) > 0", "abs(close, open)", "abs takes one number, not 2", "write abs(close - open)"),
        ("min(close) > 0", "min(close)", "min takes two numbers or more, not 1", "write min(close, open)"),
        ("min(close, a=open) > 0", "a=open", "min has no named arguments", "leave out a="),
        # types
        ("close", "close", "a rule must be a condition, this is a number", "close > 0"),
        ("rsi(14) and close > 1", "rsi(14)", "'and' joins conditions, and this is a number", "rsi(14) > 0"),
        ("not close", "close", "'not' joins conditions, and this is a number", "close > 0"),
        ("(close > 1) < 30", "(close > 1)", "a comparison takes numbers, and this is a condition", "join conditions"),
        ("(close > 1) + 1 < 3", "(close > 1)", "'+' takes numbers, and this is a condition", "join conditions"),
        ("(close > 1)[1]", "(close > 1)", "looking back takes numbers", "join conditions"),
        ("1 < 2", "1 < 2", "both sides are constant", "compare with a field"),
        ("close / (1 - 1) > 2", "(1 - 1)", "this divides by zero", "divide by something else"),
        ("close > 1e999", "1e999", "this number is too large", "smaller"),
        # history and positions
        ("close[501] > 1", "501", "bars ago must be a whole number from 0 to 500, not 501", "close[1]"),
        ("close[1.5] > 1", "1.5", "bars ago must be a whole number", "close[1]"),
        ("position > 1", "position", "position has several fields", "position.profit"),
        ("position.proft > 1", "proft", "position has no 'proft'", "did you mean position.profit?"),
        ("position.age[1] > 1", "position.age[1]", "no history of a position", "leave the brackets out"),
        ("position.age crosses above 1", "position.age crosses above 1", "no history of a position", "> or <"),
        # syntax
        ("", "", "the rule is empty", "write a condition"),
        ("rsi(14) <", "", "the rule ends too early", "complete it"),
        ("(close > 1", "", "the parenthesis is not closed", "add a )"),
        ("close > 1)", ")", "this parenthesis was never opened", "take it out"),
        ("rsi(14 < 30", "", "a comma or a closing parenthesis must follow", "write rsi(14)"),
        ("close[1 > 30", ">", "the bracket is not closed", "add a ]"),
        ("close[open] > 30", "open", "the brackets must hold how many bars ago", "close[1]"),
        ("close. > 1", ">", "a name must follow the dot", "bollinger"),
        ("close > .5", ".", "must stand here, not '.'", "0.5"),
        ("close > +5", "+", "must stand here, not '+'", "leave the sign out"),
        ("close = 5", "=", "'=' only gives an argument its name", "=="),
        ("close crosses 5", "5", "'crosses' must be followed by 'above' or 'below'", "crosses above 0"),
        ("close cross above 5", "cross", "an operator must stand here, not 'cross'", "did you mean 'crosses'?"),
        ("close > 5 AND open > 5", "AND", "an operator must stand here", "did you mean 'and'?"),
        ("1 < close crosses above 5", "crosses", "cannot be chained", "join the two with 'and'"),
        ("close crosses above 5 crosses above 6", "crosses", "cannot be chained", "join the two with 'and'"),
        ("close > 5 not open > 5", "not", "'not' stands before a condition", "and not"),
        ("close > 5 6", "6", "an operator must stand here, not '6'", "put 'and'"),
        # characters
        ("close > 1 && open > 1", "&&", "&& means nothing in a rule", "write 'and'"),
        ("close > 30%", "%", "% means nothing in a rule", "plain number"),
        ("close ≤ 30", "≤", "≤ means nothing in a rule", "write <="),
        ("close > 3\x00", "\x00", "character 0 means nothing in a rule", "take it out"),
    ],
)
def test_a_fault_is_pointed_at_named_and_mended(text: str, at_fault: str, message: str, mend: str) -> None:
    [(column, length, said, advice)] = problems(text)
    assert text[column - 1 : column - 1 + length] == at_fault
    assert message in said
    assert mend in advice


def test_all_faults_are_told_in_order_of_columns() -> None:
    text = "bollinger(20, 2) < clse and rsi(1) < 30 or adx(14).plus > (close > 1)"
    assert [column for column, *_ in problems(text)] == [1, 20, 33, 52, 59]


def test_the_message_shows_a_caret_line_under_the_fault() -> None:
    with pytest.raises(RuleError) as caught:
        compile_rule("close > 1 and\nrsy(14) < 30")
    assert str(caught.value).splitlines() == [
        "  close > 1 and rsy(14) < 30",
        "                ^^^",
        "column 15: there is no indicator or function 'rsy'; did you mean 'rsi'?",
    ]


def test_of_a_long_rule_the_part_around_the_fault_is_shown() -> None:
    text = "close > 1 and " * 30 + "clse > 1" + " and close > 1" * 30
    with pytest.raises(RuleError) as caught:
        compile_rule(text)
    line, carets, _ = str(caught.value).splitlines()
    assert len(line) < 120
    assert line[carets.index("^") : carets.rindex("^") + 1] == "clse"


def test_an_entry_rule_cannot_look_at_a_position() -> None:
    compile_rule("position.profit > 0.3", role="exit")
    with pytest.raises(RuleError, match="an entry is decided before there is a position"):
        compile_rule("position.profit > 0.3", role="entry")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 900 + "close > 1" + ")" * 900,
        "not " * 400 + "close > 1",
        "-" * 1500 + "close > 1",
        "close" + " + 1" * 400 + " > 1",
        "close" + "[1]" * 400 + " > 1",
        "abs(" * 300 + "close" + ")" * 300 + " > 1",
        "close" + ".a" * 800 + " > 1",
    ],
)
def test_depth_is_bounded_before_python_is(text: str) -> None:
    assert len(text) <= MAXIMUM_LENGTH
    [(_, _, message, _)] = problems(text)
    assert "more than 50 deep" in message


def test_length_is_bounded() -> None:
    compile_rule("close > 1" + " " * (MAXIMUM_LENGTH - 9))
    [(column, _, message, _)] = problems("close > 1" + " " * (MAXIMUM_LENGTH - 8))
    assert column == MAXIMUM_LENGTH + 1
    assert "2001 characters" in message


def test_many_conditions_are_not_depth() -> None:
    compile_rule(" and ".join(["close > 1"] * 140))


WORDS = (
    *("rsi", "bollinger", "macd", "ema", "close", "volume", "position", "min", "abs", "source", "period", "lower"),
    *("and", "or", "not", "crosses", "above", "below", "value", "(", ")", "[", "]", ",", ".", "=", "==", "!=", "<"),
    *(">", "<=", ">=", "+", "-", "*", "/", "1", "0", "14", "0.5", "1e400", "99999999999999999999", "&", "%", "é"),
)


@settings(max_examples=200, deadline=None)
@example(text="close[99999999999999999999] > 1")
@example(text="bollinger()[1e400].lower > 1")
@example(text="rsi(1e400) > 1 and rsi(-1e400) > 1e400")
@given(
    text=st.one_of(
        st.text(max_size=80),
        st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join),
        st.lists(st.sampled_from(WORDS)).map("".join),
    )
)
def test_no_text_gets_another_answer_than_a_rule_or_its_faults(text: str) -> None:
    found = outcome(text)
    if not isinstance(found, RuleError):
        assert found.warm_up >= 1
        return
    assert found.problems
    assert str(found).count("\ncolumn ") == len(found.problems)
    for problem in found.problems:
        assert 1 <= problem.column <= len(text) + 1
        assert problem.length >= 1
        assert problem.message
        assert problem.mend


def outcome(text: str) -> CompiledRule | RuleError:
    try:
        return compile_rule(text)
    except RuleError as error:
        return error
