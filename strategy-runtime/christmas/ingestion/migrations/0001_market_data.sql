-- Ticks and what is needed to read them. Text columns that only identify something compare by bytes
-- (COLLATE "C"): an index on them costs a third of what a language's order costs.

CREATE TABLE ticks (
    time       TIMESTAMPTZ      NOT NULL,
    market     TEXT COLLATE "C" NOT NULL,
    symbol     TEXT COLLATE "C" NOT NULL,
    trade_id   TEXT COLLATE "C" NOT NULL,
    price      NUMERIC          NOT NULL,
    volume     BIGINT           NOT NULL,
    taker_side TEXT COLLATE "C" CHECK (taker_side IN ('buy', 'sell')),
    open       NUMERIC,
    high       NUMERIC,
    low        NUMERIC,
    late       BOOLEAN          NOT NULL DEFAULT FALSE,
    -- One index does both: it keeps a print from being stored twice, and it is read by time range.
    CONSTRAINT ticks_once UNIQUE (market, symbol, time, trade_id)
);
COMMENT ON TABLE ticks IS 'One trade print each; a hypertable on time where TimescaleDB is installed';
COMMENT ON COLUMN ticks.volume IS 'Whole lots of instruments.lot_size; the view tick_quantities shows real quantities';
COMMENT ON COLUMN ticks.open IS 'open, high and low: only on the print of a bar replay, whose price is the close';
COMMENT ON COLUMN ticks.late IS 'Came after the market clock had passed the end of its second: in no bar';

CREATE TABLE instruments (
    market           TEXT COLLATE "C" NOT NULL,
    symbol           TEXT COLLATE "C" NOT NULL,
    valid_from       TIMESTAMPTZ      NOT NULL,
    price_increment  NUMERIC          NOT NULL,
    lot_size         NUMERIC          NOT NULL,
    minimum_notional NUMERIC          NOT NULL,
    minimum_lots     BIGINT           NOT NULL,
    maximum_lots     BIGINT,
    trading_hours    JSONB,
    updated_at       TIMESTAMPTZ      NOT NULL DEFAULT now(),
    PRIMARY KEY (market, symbol, valid_from)
);
COMMENT ON COLUMN instruments.valid_from IS 'A changed lot size starts a new row: older volumes go on counting the older lots';

CREATE VIEW tick_quantities AS
SELECT ticks.*, instrument.lot_size, ticks.volume * instrument.lot_size AS quantity,
       ticks.price * ticks.volume * instrument.lot_size AS notional
FROM ticks
LEFT JOIN LATERAL (
    SELECT lot_size FROM instruments
    WHERE instruments.market = ticks.market AND instruments.symbol = ticks.symbol
      AND instruments.valid_from <= ticks.time
    ORDER BY valid_from DESC LIMIT 1
) AS instrument ON TRUE;

CREATE TABLE quarantined_ticks (
    market   TEXT COLLATE "C" NOT NULL,
    entry_id TEXT COLLATE "C" NOT NULL,  -- the stream id and a digest of the payload
    symbol   TEXT COLLATE "C",
    reason   TEXT             NOT NULL,
    noted_at TIMESTAMPTZ      NOT NULL,
    payload  TEXT             NOT NULL,
    PRIMARY KEY (market, entry_id)
);
COMMENT ON TABLE quarantined_ticks IS 'Prints that nobody traded on: absurd prices, and what cannot be stored as a tick';

CREATE TABLE watermarks (
    market     TEXT COLLATE "C" NOT NULL,
    symbol     TEXT COLLATE "C" NOT NULL,
    time       TIMESTAMPTZ      NOT NULL,
    ticks      BIGINT           NOT NULL,
    updated_at TIMESTAMPTZ      NOT NULL DEFAULT now(),
    PRIMARY KEY (market, symbol)
);
COMMENT ON TABLE watermarks IS 'Written in the transaction that stores ticks: the latest time, and how many are stored';
