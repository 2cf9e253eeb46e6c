"""Manifests that are right, for tests to make wrong."""

from __future__ import annotations

from textwrap import dedent

BROKER = dedent(
    """\
    apiVersion: christmas.dev/v1alpha1
    kind: Broker
    metadata:
      name: paper
    spec:
      type: paper
      instruments:
        - symbol: BTC/USDT
          priceIncrement: "0.01"
          lotSize: "0.00001"
          minimumNotional: "5"
    """
)
STRATEGY = dedent(
    """\
    apiVersion: christmas.dev/v1alpha1
    kind: Strategy
    metadata:
      name: scalper
    spec:
      brokerRef: {name: paper}
      symbols: [BTC/USDT]
      timeframe: 5s
      rules:
        entry: rsi(14) < 30
      capital:
        amount: "1000"
        perTrade: "100"
    """
)
BOTH = f"{BROKER}---\n{STRATEGY}"
