from __future__ import annotations

from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest

from christmas.cluster.gateway_orders import order_record
from christmas.cluster.history import Service, service_of, through_socket
from christmas.execution.order import Fill, OrderIntent, OrderStatus
from christmas.execution.protocol import KnownOrder
from christmas.fleet.manifests import read
from tests.unit.cluster.test_applying import EXAMPLES


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@db.stores.svc:5433/x", Service("db", "stores", 5433)),
        ("postgresql://u:p@db.stores.svc.cluster.local/x", Service("db", "stores", 5432)),
        ("postgresql://u:p@db/x", Service("db", "mine", 5432)),
        ("postgresql://u:p@db.example.com/x", None),
        ("postgresql://u:p@localhost/x", None),
    ],
)
def test_which_databases_are_in_the_cluster(url: str, expected: Service | None) -> None:
    assert service_of(url, "mine") == expected


def test_a_forwarded_database_keeps_user_password_and_name() -> None:
    url = through_socket(
        "postgresql://u:p%40w@db.stores.svc:5433/christmas?sslmode=require&options=-c%20a%3Db", "/run/x"
    )
    parts = urlsplit(url)
    assert (parts.scheme, parts.username, parts.password, parts.path) == ("postgresql", "u", "p%40w", "/christmas")
    assert parse_qs(parts.query) == {"options": ["-c a=b"], "host": ["/run/x"], "port": ["5432"]}


def test_a_gateways_order_as_the_database_has_it() -> None:
    strategy = read([EXAMPLES / "paper-broker.yaml", EXAMPLES / "btc-scalper.yaml"]).strategies[0]
    intent = OrderIntent(
        client_order_id="x1",
        symbol="BTC/USDT",
        side="buy",
        type="limit",
        lots=4,
        price=Decimal(100),
        purpose="entry",
        position_id="x1",
        decided_us=5,
        reason="entry",
    )
    fills = tuple(
        Fill(
            fill_id=str(number),
            client_order_id="x1",
            symbol="BTC/USDT",
            side="buy",
            price=Decimal(100),
            lots=lots,
            fee=Decimal("0.01"),
            liquidity="maker",
            time_us=10 + number,
        )
        for number, lots in enumerate((1, 2))
    )
    known = KnownOrder(intent=intent, status=OrderStatus.PARTIALLY_FILLED, fills=fills)
    record = order_record(known, strategy=strategy, lot_size=Decimal("0.001"))
    assert (record.filled_lots, record.filled_notional, record.fees) == (3, Decimal("0.300"), Decimal("0.02"))
    assert (record.strategy, record.broker, record.updated_us) == ("btc-scalper", "paper", 11)
