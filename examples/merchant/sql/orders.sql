-- The orders service's own database: made for placing orders, found by their id.
CREATE TABLE orders (
    order_id text PRIMARY KEY,
    merchant_id text NOT NULL,
    customer_id text NOT NULL,
    status text NOT NULL,
    total bigint NOT NULL,
    currency text NOT NULL,
    placed_at timestamptz NOT NULL,
    event_timestamp timestamptz NOT NULL
);

-- What others have to be told, written in the transaction of the order, and deleted once the topic has it.
CREATE TABLE outbox (
    number bigserial PRIMARY KEY,
    order_id text NOT NULL,
    event jsonb NOT NULL
);
