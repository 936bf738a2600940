/** The store's tables. Money is numeric; keys are the database's own. */
export const schema = `
CREATE TABLE customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email text NOT NULL,
  name text NOT NULL,
  tier text NOT NULL CHECK (tier IN ('bronze', 'silver', 'gold')),
  country char(2) NOT NULL,
  street text NOT NULL,
  city text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE products (
  sku text PRIMARY KEY,
  name text NOT NULL,
  category text NOT NULL,
  price numeric(12, 2) NOT NULL,
  -- Kept out of line and not compressed: an update that leaves it alone does not write it to the WAL.
  description text STORAGE EXTERNAL NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE stock (
  sku text NOT NULL REFERENCES products,
  warehouse text NOT NULL,
  on_hand integer NOT NULL CHECK (on_hand >= 0),
  PRIMARY KEY (sku, warehouse)
);

CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES customers,
  status text NOT NULL CHECK (status IN ('placed', 'paid', 'shipped', 'delivered', 'cancelled', 'refunded')),
  warehouse text NOT NULL,
  shipping numeric(12, 2) NOT NULL,
  total numeric(12, 2) NOT NULL,
  placed_at timestamptz NOT NULL DEFAULT now(),
  changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE order_items (
  order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
  line integer NOT NULL,
  sku text NOT NULL REFERENCES products,
  quantity integer NOT NULL,
  unit_price numeric(12, 2) NOT NULL,
  PRIMARY KEY (order_id, line)
);

-- The store's own books. Weir does not capture these three: they are what it is compared with.
CREATE TABLE payments (
  charge text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('charge', 'refund')),
  order_id bigint NOT NULL REFERENCES orders,
  amount numeric(12, 2) NOT NULL,
  paid_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON payments (order_id);
CREATE TABLE abandoned_orders (id bigint PRIMARY KEY);
CREATE TABLE price_changes (sku text NOT NULL, price numeric(12, 2) NOT NULL, changed_at timestamptz NOT NULL DEFAULT now());
`;

/** What the store adds to a table while it is captured. */
export const migration = "ALTER TABLE customers ADD COLUMN phone text";
