"""Manifests and rules: ``give`` is the text of fleet.yaml."""

from __future__ import annotations

from tests.bad_input.case import Case, Section
from tests.unit.resources.manifests import BOTH, BROKER, STRATEGY


def _with(old: str, new: str, text: str = BOTH) -> str:
    if old not in text:
        raise ValueError(f"{old!r} is not in the manifest")
    return text.replace(old, new, 1)


def _rule(text: str) -> str:
    return _with("rsi(14) < 30", text)


def _spec(addition: str) -> str:
    return BOTH + addition


def _broker(addition: str) -> str:
    return f"{BROKER}{addition}---\n{STRATEGY}"


SECTION = Section(
    title="Manifests",
    given="`christmas apply --dry-run -f fleet.yaml`",
    after="exit code 1, nothing is stored, every problem of the file is told at once",
    cases=(
        Case(
            "yaml-tab",
            "a tab indents",
            "kind: Broker\n\tspec: x\n",
            message="error: fleet.yaml:2:1: not YAML: while scanning a plain scalar found a tab character that violates indentation (indent with spaces, not tabs)",
        ),
        Case(
            "yaml-unclosed",
            "a bracket is not closed",
            "a: [1, 2\n",
            message="error: fleet.yaml:2:1: not YAML: while parsing a flow sequence did not find expected ',' or ']' (close the bracket)",
        ),
        Case(
            "yaml-unclosed-quote",
            "a quote is not closed",
            'kind: "Broker\n',
            message="error: fleet.yaml:2:1: not YAML: while scanning a quoted scalar found unexpected end of stream (close the quote)",
        ),
        Case(
            "yaml-two-colons",
            "two mappings in one line",
            "kind: Broker: x\n",
            message="error: fleet.yaml:1:13: not YAML: mapping values are not allowed in this context (start a new line, or quote a text that has a colon in it)",
        ),
        Case(
            "yaml-undefined-alias",
            "an alias of nothing",
            "kind: *nobody\n",
            message="error: fleet.yaml:1:7: not YAML: found undefined alias (define it before with &, or quote the text)",
        ),
        Case(
            "yaml-endless-alias",
            "an alias of what it is within",
            "spec: &a {x: [*a]}\n",
            message="error: fleet.yaml:1:7: not YAML: an alias of what it is within has no end (write the values out)",
        ),
        Case(
            "yaml-alias-bomb",
            "a few lines of aliases that stand for billions of values",
            "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
            message="error: fleet.yaml:1:37: not YAML: its aliases stand for more than 100000 values (write the values out)",
        ),
        Case(
            "yaml-deep",
            "brackets in brackets, ten thousand deep",
            "a: " + "[" * 10_000,
            message="error: fleet.yaml:2:1: not YAML: while parsing a flow node did not find expected node content (close the bracket)",
        ),
        Case(
            "yaml-control-character",
            "a control character",
            "kind: Bro\x07ker\n",
            message="error: fleet.yaml:1:10: not YAML: the character U+0007 cannot be in it (take it out)",
        ),
        Case(
            "yaml-unknown-tag",
            "a tag that would run code",
            "kind: !!python/object:os.system x\n",
            message="error: fleet.yaml:1:7: not YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object:os.system' (leave the tag out: only plain values are read)",
        ),
        Case(
            "yaml-date",
            "a text that looks like a date and is none",
            _with("name: scalper", "name: 2024-13-45"),
            message='error: fleet.yaml:16:9: metadata.name: 2024-13-45 is no timestamp (quote it to have it as text: "2024-13-45")',
        ),
        Case(
            "yaml-list-key",
            "a list as a key",
            "? [1, 2]\n: x\n",
            message="error: fleet.yaml:1:3: not YAML: a key must be a word, not a list or a mapping (write a word before the colon)",
        ),
        Case(
            "yaml-twice",
            "the same key twice",
            _with("  timeframe: 5s", "  timeframe: 5s\n  timeframe: 1m"),
            message="error: fleet.yaml:21:3: spec.timeframe: written twice (the first is in line 20; keep one)",
        ),
        Case(
            "empty-file",
            "an empty file",
            "",
            message="error: fleet.yaml:1:1: no manifest here (expected *.yaml, *.yml or *.json)",
        ),
        Case(
            "no-mapping",
            "a list, not a manifest",
            "- 1\n- 2\n",
            message="error: fleet.yaml:1:1: not a manifest (a mapping with apiVersion, kind, metadata and spec)",
        ),
        Case(
            "json-broken",
            "broken JSON",
            '{"kind": "Broker", ',
            message="error: fleet.yaml:2:1: not YAML: while parsing a flow node did not find expected node content (close the bracket)",
        ),
        Case(
            "no-version",
            "apiVersion is missing",
            _with("apiVersion: christmas.dev/v1alpha1\n", ""),
            message="error: fleet.yaml:1:1: apiVersion: apiVersion is missing (write apiVersion: christmas.dev/v1alpha1)",
        ),
        Case(
            "other-version",
            "another API version",
            _with("v1alpha1", "v2"),
            message="error: fleet.yaml:1:13: apiVersion: christmas.dev/v2 is not christmas.dev/v1alpha1 (write apiVersion: christmas.dev/v1alpha1)",
        ),
        Case(
            "no-kind",
            "kind is missing",
            _with("kind: Broker\n", "", BROKER),
            message="error: fleet.yaml:1:1: kind: kind is missing (known: Broker, Strategy)",
        ),
        Case(
            "unknown-kind",
            "a mistyped kind",
            _with("kind: Strategy", "kind: Stratgy"),
            message="error: fleet.yaml:14:7: kind: kind Stratgy is unknown (did you mean Strategy?)",
        ),
        Case(
            "unknown-field",
            "a mistyped field",
            _with("timeframe:", "timefram:"),
            message="error: fleet.yaml:20:3: spec.timefram: unknown field (did you mean timeframe?)",
        ),
        Case(
            "unknown-nested-field",
            "a mistyped field further in",
            _with("perTrade", "per_trade"),
            message="error: fleet.yaml:25:5: spec.capital.per_trade: unknown field (did you mean perTrade?)",
        ),
        Case(
            "missing-capital",
            "a required field is missing",
            _with('  capital:\n    amount: "1000"\n    perTrade: "100"\n', ""),
            message="error: fleet.yaml:18:3: spec: capital is missing (add capital)",
        ),
        Case(
            "bad-name",
            "a name with capitals and a blank",
            _with("name: scalper", "name: My Scalper"),
            message="error: fleet.yaml:16:9: metadata.name: 'My Scalper' does not fit (A DNS label of at most 40 characters)",
        ),
        Case(
            "amount-as-number",
            "a sum of money without quotes",
            _with('amount: "1000"', "amount: 1000"),
            message='error: fleet.yaml:24:13: spec.capital.amount: a text is wanted, not the number 1000 (quote it: "1000"; A decimal number as text: binary floats are not exact)',
        ),
        Case(
            "amount-negative",
            "a negative sum of money",
            _with('amount: "1000"', 'amount: "-1000"'),
            message="error: fleet.yaml:24:13: spec.capital.amount: '-1000' does not fit (A decimal number as text: binary floats are not exact)",
        ),
        Case(
            "amount-words",
            "words for a sum of money",
            _with('amount: "1000"', 'amount: "a lot"'),
            message="error: fleet.yaml:24:13: spec.capital.amount: 'a lot' does not fit (A decimal number as text: binary floats are not exact)",
        ),
        Case(
            "amount-exponent",
            "an exponent in a sum of money",
            _with('amount: "1000"', 'amount: "1e3"'),
            message="error: fleet.yaml:24:13: spec.capital.amount: '1e3' does not fit (A decimal number as text: binary floats are not exact)",
        ),
        Case(
            "amount-null",
            "nothing for a sum of money",
            _with('amount: "1000"', "amount: null"),
            message="error: fleet.yaml:24:13: spec.capital.amount: a text is wanted, not nothing (A decimal number as text: binary floats are not exact)",
        ),
        Case(
            "timeframe-zero",
            "a timeframe of no time",
            _with("timeframe: 5s", "timeframe: 0s"),
            message="error: fleet.yaml:20:14: spec.timeframe: '0s' does not fit (A span of time: 500ms, 5s, 1m, 2h, 1d)",
        ),
        Case(
            "timeframe-unit",
            "an unknown unit of time",
            _with("timeframe: 5s", "timeframe: 5 parsecs"),
            message="error: fleet.yaml:20:14: spec.timeframe: '5 parsecs' does not fit (A span of time: 500ms, 5s, 1m, 2h, 1d)",
        ),
        Case(
            "timeframe-part",
            "a timeframe of no whole seconds",
            _with("timeframe: 5s", "timeframe: 1500ms"),
            message="error: fleet.yaml:20:14: spec.timeframe: 1500ms is not a whole number of seconds (for example 5s)",
        ),
        Case(
            "symbol-lower",
            "a symbol in small letters",
            _with("symbols: [BTC/USDT]", "symbols: [btc/usdt]"),
            message="error: fleet.yaml:19:13: spec.symbols[0]: 'btc/usdt' does not fit (For example BTC/USDT)",
        ),
        Case(
            "symbols-none",
            "no symbol",
            _with("symbols: [BTC/USDT]", "symbols: []"),
            message="error: fleet.yaml:19:12: spec.symbols: 0 entries are too few (at least 1 entries)",
        ),
        Case(
            "symbols-word",
            "a word where a list is wanted",
            _with("symbols: [BTC/USDT]", "symbols: BTC/USDT"),
            message="error: fleet.yaml:19:12: spec.symbols: a list is wanted, not 'BTC/USDT' (write [BTC/USDT])",
        ),
        Case(
            "symbols-twice",
            "a symbol twice",
            _with("symbols: [BTC/USDT]", "symbols: [BTC/USDT, BTC/USDT]"),
            message="error: fleet.yaml:19:23: spec.symbols[1]: BTC/USDT is there twice (keep one)",
        ),
        Case(
            "symbol-unknown",
            "a symbol that the Broker does not trade",
            _with("symbols: [BTC/USDT]", "symbols: [BTC/USD]"),
            message="error: fleet.yaml:19:13: spec.symbols[0]: Broker paper does not know BTC/USD (did you mean BTC/USDT?)",
        ),
        Case(
            "broker-unknown",
            "a Broker that is not there",
            _with("brokerRef: {name: paper}", "brokerRef: {name: papr}"),
            message="error: fleet.yaml:18:21: spec.brokerRef.name: there is no Broker papr (did you mean paper?)",
        ),
        Case(
            "per-trade-above-capital",
            "a trade larger than the capital",
            _with('perTrade: "100"', 'perTrade: "2000"'),
            message="error: fleet.yaml:25:15: spec.capital.perTrade: perTrade 2000 is more than amount 1000 (lower it, or raise amount)",
        ),
        Case(
            "per-trade-below-minimum",
            "a trade that the venue would not take",
            _with('perTrade: "100"', 'perTrade: "1"'),
            message="error: fleet.yaml:25:15: spec.capital.perTrade: 1 is below BTC/USDT's minimum notional of 5 (every order would be denied: raise perTrade)",
        ),
        Case(
            "max-positions-zero",
            "no position at all",
            _spec("    maxPositions: 0\n"),
            message="error: fleet.yaml:26:19: spec.capital.maxPositions: 0 is too small (at least 1)",
        ),
        Case(
            "max-positions-words",
            "a word for a number",
            _spec("    maxPositions: many\n"),
            message="error: fleet.yaml:26:19: spec.capital.maxPositions: a whole number is wanted, not 'many' (write a whole number)",
        ),
        Case(
            "two-logics",
            "rules and a builtin",
            _spec("  builtin: {name: rsi-macd-bollinger}\n"),
            message="error: fleet.yaml:26:3: spec.builtin: rules and builtin exclude each other (keep exactly one of them)",
        ),
        Case(
            "no-logic",
            "neither rules nor builtin nor code",
            _with("  rules:\n    entry: rsi(14) < 30\n", ""),
            message="error: fleet.yaml:18:3: spec: nothing says what to trade on (add exactly one of rules, builtin and code)",
        ),
        Case(
            "stop-loss-missing",
            "StopLoss without its loss",
            _spec("  exit: {policy: StopLoss}\n"),
            message='error: fleet.yaml:26:9: spec.exit: StopLoss needs stopLoss (add stopLoss, for example "1%")',
        ),
        Case(
            "trailing-missing",
            "Trailing without its distance",
            _spec('  exit: {policy: Trailing, stopLoss: "1%"}\n'),
            message='error: fleet.yaml:26:9: spec.exit: Trailing needs trailingDistance (add trailingDistance, for example "0.3%")',
        ),
        Case(
            "policy-unknown",
            "an unknown exit policy",
            _spec("  exit: {policy: Noloss}\n"),
            message="error: fleet.yaml:26:18: spec.exit.policy: 'Noloss' is not one of NoLoss, StopLoss, Trailing (did you mean NoLoss?)",
        ),
        Case(
            "percent-missing",
            "a percentage without its sign",
            _spec('  exit: {minimumProfit: "0.05"}\n'),
            message="error: fleet.yaml:26:25: spec.exit.minimumProfit: '0.05' does not fit (A percentage as text, for example 0.05%)",
        ),
        Case(
            "stop-loss-of-no-loss",
            "NoLoss with a stop loss",
            _spec('  exit: {policy: NoLoss, stopLoss: "1%"}\n'),
            message="error: fleet.yaml:26:26: spec.exit.stopLoss: NoLoss never closes below break-even, stopLoss closes there (remove it, or choose policy: StopLoss)",
        ),
        Case(
            "memory-too-small",
            "less memory than a runtime needs",
            _spec("  resources: {limits: {memory: 8Mi}}\n"),
            message="error: fleet.yaml:26:32: spec.resources.limits.memory: a runtime takes up to 45Mi, the limit is 8Mi (it would be killed when it starts: allow 64Mi or more)",
        ),
        Case(
            "cpu-words",
            "a word for a CPU limit",
            _spec("  resources: {limits: {cpu: lots}}\n"),
            message="error: fleet.yaml:26:29: spec.resources.limits.cpu: 'lots' does not fit (Cores, or thousandths of one: 2, 500m)",
        ),
        Case(
            "code-syntax",
            "code that is no Python",
            _with("  rules:\n    entry: rsi(14) < 30\n", "  code: {class: A, source: 'def ('}\n"),
            message="error: fleet.yaml:21:9: spec.code: not Python: invalid syntax (its line 1)",
        ),
        Case(
            "code-no-class",
            "code without the class that is named",
            _with("  rules:\n    entry: rsi(14) < 30\n", "  code: {class: Scalper, source: 'class Scalpr: pass'}\n"),
            message="error: fleet.yaml:21:17: spec.code.class: there is no class Scalper in the code (did you mean Scalpr?)",
        ),
        Case(
            "code-file-missing",
            "a code file that is not there",
            _with("  rules:\n    entry: rsi(14) < 30\n", "  code: {class: A, file: nowhere.py}\n"),
            message="error: fleet.yaml:21:26: spec.code.file: nowhere.py cannot be read (name a file that can be read; a relative name starts at the manifest's folder)",
        ),
        Case(
            "builtin-parameter",
            "a builtin's parameter out of bounds",
            _with(
                "  rules:\n    entry: rsi(14) < 30\n",
                "  builtin: {name: rsi-macd-bollinger, parameters: {rsi: -1, oversld: 30}}\n",
            ),
            message="error: fleet.yaml:21:52: spec.builtin.parameters.rsi: there is no parameter 'rsi'; known are: bollinger_deviations, bollinger_period, macd_exit, macd_fast, macd_filter, macd_signal, macd_slow, rsi_entry, rsi_exit, rsi_period\nerror: fleet.yaml:21:61: spec.builtin.parameters.oversld: there is no parameter 'oversld'; known are: bollinger_deviations, bollinger_period, macd_exit, macd_fast, macd_filter, macd_signal, macd_slow, rsi_entry, rsi_exit, rsi_period",
        ),
        Case(
            "feed-two",
            "two feeds",
            _broker("  feed: {synthetic: {}, exchange: {exchange: binance}}\n"),
            message="error: fleet.yaml:12:25: spec.feed.exchange: synthetic and exchange exclude each other (keep exactly one feed)",
        ),
        Case(
            "feed-file-missing",
            "a replay of a file that is not there",
            _broker("  feed: {replay: {files: [nowhere.csv]}}\n"),
            message="error: fleet.yaml:12:27: spec.feed.replay.files[0]: there is no file nowhere.csv (name a file that can be read; a relative name starts at the manifest's folder)",
        ),
        Case(
            "fault-probability",
            "a probability above one",
            _broker("  paper: {faults: {reject: 1.5}}\n"),
            message="error: fleet.yaml:12:28: spec.paper.faults.reject: 1.5 is too large (at most 1.0)",
        ),
        Case(
            "participation",
            "more of each print than there is",
            _broker('  paper: {participation: "150%"}\n'),
            message="error: fleet.yaml:12:26: spec.paper.participation: 150% of a print's volume cannot be taken (more than 0%, at most 100%)",
        ),
        Case(
            "increment-zero",
            "prices in steps of nothing",
            _with('priceIncrement: "0.01"', 'priceIncrement: "0"'),
            message="error: fleet.yaml:9:23: spec.instruments[0].priceIncrement: must be more than 0 (as the venue publishes it)",
        ),
        Case(
            "names-twice",
            "two resources of one name",
            f"{BOTH}---\n{BROKER}",
            message="error: fleet.yaml:30:9: metadata.name: there are two of Broker paper (the first is at fleet.yaml:4; rename or remove one)",
        ),
    ),
)

RULES = Section(
    title="Rules",
    given="`spec.rules.entry` of a manifest, `christmas apply --dry-run -f fleet.yaml`",
    after="exit code 1, nothing is stored; line and column are those of the character in the file",
    cases=(
        Case(
            "rule-character",
            "a character that means nothing",
            _rule("rsi(14) < 30 && close > 1"),
            message="error: fleet.yaml:22:25: spec.rules.entry: && means nothing in a rule (write 'and')",
        ),
        Case(
            "rule-percent",
            "a per cent sign",
            _rule("close < 5%"),
            message="error: fleet.yaml:22:21: spec.rules.entry: % means nothing in a rule (write a plain number: 30 for the 30 of rsi(14) < 30, 0.005 for half a per cent of a price)",
        ),
        Case(
            "rule-unicode",
            "a typographic sign",
            _rule("rsi(14) ≤ 30"),
            message="error: fleet.yaml:22:20: spec.rules.entry: ≤ means nothing in a rule (write <=)",
        ),
        Case(
            "rule-unclosed",
            "a bracket is not closed",
            _rule("rsi(14 < 30"),
            message="error: fleet.yaml:22:23: spec.rules.entry: a comma or a closing parenthesis must follow the argument (write rsi(14))",
        ),
        Case(
            "rule-half",
            "nothing on the right",
            _rule("rsi(14) <"),
            message="error: fleet.yaml:22:21: spec.rules.entry: the rule ends too early: a number, a field, an indicator or a parenthesis must stand here (complete it, for example rsi(14) < 30)",
        ),
        Case(
            "rule-no-condition",
            "a number, not a condition",
            _rule("rsi(14)"),
            message="error: fleet.yaml:22:12: spec.rules.entry: a rule must be a condition, this is a number (compare it with something, for example rsi(14) > 0)",
        ),
        Case(
            "rule-assign",
            "one equals sign",
            _rule("close = 5"),
            message="error: fleet.yaml:22:18: spec.rules.entry: '=' only gives an argument its name, as in source=volume (compare with ==, <= or >=)",
        ),
        Case(
            "rule-unknown-indicator",
            "a mistyped indicator",
            _rule("rsl(14) < 30"),
            message="error: fleet.yaml:22:12: spec.rules.entry: there is no indicator or function 'rsl' (did you mean 'rsi'?)",
        ),
        Case(
            "rule-unknown-name",
            "a mistyped field",
            _rule("clos < 30"),
            message="error: fleet.yaml:22:12: spec.rules.entry: there is nothing named 'clos' (did you mean 'close'?)",
        ),
        Case(
            "rule-argument-count",
            "too many arguments",
            _rule("rsi(14, 2, 3) < 30"),
            message="error: fleet.yaml:22:20: spec.rules.entry: rsi takes at most 1 number (write rsi(14))\nerror: fleet.yaml:22:23: spec.rules.entry: rsi takes at most 1 number (write rsi(14))",
        ),
        Case(
            "rule-argument-range",
            "a period of none",
            _rule("rsi(0) < 30"),
            message="error: fleet.yaml:22:16: spec.rules.entry: rsi: period must be a whole number from 2 to 10000, not 0 (write a whole number from 2 to 10000)",
        ),
        Case(
            "rule-argument-part",
            "a period of half a bar",
            _rule("rsi(14.5) < 30"),
            message="error: fleet.yaml:22:16: spec.rules.entry: rsi: period must be a whole number from 2 to 10000, not 14.5 (write a whole number from 2 to 10000)",
        ),
        Case(
            "rule-output",
            "an unknown output",
            _rule("bollinger(20, 2).lowr > close"),
            message="error: fleet.yaml:22:29: spec.rules.entry: bollinger has no output 'lowr' (did you mean .lower?)",
        ),
        Case(
            "rule-output-missing",
            "an indicator of several outputs without one",
            _rule("close < bollinger(20, 2)"),
            message="error: fleet.yaml:22:20: spec.rules.entry: bollinger has several outputs: lower, middle, upper, width, percent_b (write which, for example bollinger(20, 2).lower)",
        ),
        Case(
            "rule-look-ahead",
            "a bar of the future",
            _rule("close[-1 bars ago] > close"),
            message="error: fleet.yaml:22:18: spec.rules.entry: the brackets must hold how many bars ago, as a number (write close[1] for the last bar)",
        ),
        Case(
            "rule-past-part",
            "half a bar ago",
            _rule("close[0.5 bars ago] > close"),
            message="error: fleet.yaml:22:22: spec.rules.entry: the bracket is not closed (add a ])",
        ),
        Case(
            "rule-types",
            "a condition added to a number",
            _rule("close + (rsi(14) < 30) > 1"),
            message="error: fleet.yaml:22:20: spec.rules.entry: '+' takes numbers, and this is a condition (join conditions with 'and' or 'or')",
        ),
        Case(
            "rule-position-in-entry",
            "a position before there is one",
            _rule("position.profit > 0"),
            message="error: fleet.yaml:22:12: spec.rules.entry: an entry is decided before there is a position (use position.profit and position.age in the exit rule)",
        ),
        Case(
            "rule-divide-zero",
            "a division by nothing",
            _rule("close / 0 > 1"),
            message="error: fleet.yaml:22:20: spec.rules.entry: this divides by zero (divide by something else)",
        ),
        Case(
            "rule-deep",
            "brackets in brackets",
            _rule("(" * 60 + "close > 1" + ")" * 60),
            message="error: fleet.yaml:22:62: spec.rules.entry: the expression is nested, or its sums and products chained, more than 50 deep (make it simpler)",
        ),
        Case(
            "rule-long",
            "a rule of 2,016 characters",
            _rule(" and ".join(["close > 1"] * 144)),
            message="error: fleet.yaml:22:12: spec.rules.entry: 2011 characters are too many (at most 2000 characters)",
        ),
        Case(
            "rule-empty",
            "an empty rule",
            _rule("'  '"),
            message="error: fleet.yaml:22:15: spec.rules.entry: the rule is empty (write a condition such as rsi(14) < 30)",
        ),
        Case(
            "rule-always",
            "a condition that never changes",
            _rule("1 < 2"),
            message="error: fleet.yaml:22:12: spec.rules.entry: both sides are constant, so this never changes (compare with a field or an indicator)",
        ),
    ),
)
