-- What the gateways journalled: the raw entries, and their projection into orders, fills and signals.

CREATE TABLE journal (
    market      TEXT COLLATE "C" NOT NULL,
    sequence    BIGINT           NOT NULL,
    session_id  TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    strategy    TEXT COLLATE "C" NOT NULL,
    time        TIMESTAMPTZ      NOT NULL,
    wall_time   TIMESTAMPTZ      NOT NULL,
    entry       JSON             NOT NULL,
    PRIMARY KEY (market, sequence)
);
CREATE INDEX journal_by_session ON journal (session_id, market, sequence);

CREATE TABLE journal_watermarks (
    market     TEXT COLLATE "C" PRIMARY KEY,
    sequence   BIGINT           NOT NULL,
    updated_at TIMESTAMPTZ      NOT NULL DEFAULT now()
);
COMMENT ON TABLE journal_watermarks IS 'The last journal entry that is stored and projected, by market';

CREATE TABLE orders (
    session_id      TEXT COLLATE "C" NOT NULL,
    market          TEXT COLLATE "C" NOT NULL,
    broker          TEXT COLLATE "C" NOT NULL,
    strategy        TEXT COLLATE "C" NOT NULL,
    strategy_uid    TEXT COLLATE "C" NOT NULL,
    epoch           BIGINT           NOT NULL,
    client_order_id TEXT COLLATE "C" NOT NULL,
    venue_order_id  TEXT COLLATE "C" NOT NULL DEFAULT '',
    symbol          TEXT COLLATE "C" NOT NULL,
    side            TEXT COLLATE "C" NOT NULL,
    type            TEXT COLLATE "C" NOT NULL,
    time_in_force   TEXT COLLATE "C" NOT NULL,
    purpose         TEXT COLLATE "C" NOT NULL,
    position_id     TEXT COLLATE "C" NOT NULL,
    price           NUMERIC,
    lots            BIGINT           NOT NULL,
    lot_size        NUMERIC          NOT NULL,
    filled_lots     BIGINT           NOT NULL DEFAULT 0,
    filled_notional NUMERIC          NOT NULL DEFAULT 0,
    fees            NUMERIC          NOT NULL DEFAULT 0,
    status          TEXT COLLATE "C" NOT NULL,
    reason          TEXT             NOT NULL,
    status_reason   TEXT             NOT NULL DEFAULT '',
    breaks_policy   TEXT COLLATE "C",
    cancel_reason   TEXT,
    decided_at      TIMESTAMPTZ      NOT NULL,
    updated_at      TIMESTAMPTZ      NOT NULL,
    sequence        BIGINT           NOT NULL,
    PRIMARY KEY (session_id, client_order_id)
);
CREATE INDEX orders_by_strategy ON orders (session_id, strategy, decided_at);
COMMENT ON COLUMN orders.filled_lots IS 'filled_lots, filled_notional and fees are the exact sums of the order''s fills';
COMMENT ON COLUMN orders.filled_notional IS 'The sum of price x lots x lot_size of its fills, in quote currency';
COMMENT ON COLUMN orders.reason IS 'Why the strategy decided on it; status_reason: why it was denied, rejected or cancelled';
COMMENT ON COLUMN orders.cancel_reason IS 'Set when the strategy asked for its cancellation';
COMMENT ON COLUMN orders.sequence IS 'The journal entry that its status comes from';

CREATE TABLE fills (
    session_id      TEXT COLLATE "C" NOT NULL,
    market          TEXT COLLATE "C" NOT NULL,
    broker          TEXT COLLATE "C" NOT NULL,
    strategy        TEXT COLLATE "C" NOT NULL,
    fill_id         TEXT COLLATE "C" NOT NULL,
    client_order_id TEXT COLLATE "C" NOT NULL,
    position_id     TEXT COLLATE "C" NOT NULL,
    purpose         TEXT COLLATE "C" NOT NULL,
    symbol          TEXT COLLATE "C" NOT NULL,
    side            TEXT COLLATE "C" NOT NULL,
    price           NUMERIC          NOT NULL,
    lots            BIGINT           NOT NULL,
    lot_size        NUMERIC          NOT NULL,
    fee             NUMERIC          NOT NULL,
    liquidity       TEXT COLLATE "C" NOT NULL,
    time            TIMESTAMPTZ      NOT NULL,
    sequence        BIGINT           NOT NULL,
    PRIMARY KEY (session_id, market, fill_id)
);
CREATE INDEX fills_by_order ON fills (session_id, client_order_id);

CREATE TABLE signals (
    session_id TEXT COLLATE "C" NOT NULL,
    market     TEXT COLLATE "C" NOT NULL,
    broker     TEXT COLLATE "C" NOT NULL,
    strategy   TEXT COLLATE "C" NOT NULL,
    symbol     TEXT COLLATE "C" NOT NULL,
    signal     TEXT COLLATE "C" NOT NULL,
    taken      BOOLEAN          NOT NULL,
    reason     TEXT             NOT NULL,
    time       TIMESTAMPTZ      NOT NULL,
    sequence   BIGINT           NOT NULL,
    PRIMARY KEY (session_id, market, sequence)
);
CREATE INDEX signals_by_strategy ON signals (session_id, strategy, time);
