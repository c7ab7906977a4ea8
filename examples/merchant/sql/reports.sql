-- The report service's own database. The firehose fills the table; the index is the report's business alone.
CREATE TABLE merchant_orders (
    order_id text PRIMARY KEY,
    merchant_id text NOT NULL,
    status text NOT NULL,
    total bigint NOT NULL,
    currency text NOT NULL,
    placed_at timestamptz NOT NULL
);

CREATE INDEX merchant_orders_by_day ON merchant_orders (merchant_id, placed_at) INCLUDE (status, total);
