-- What was spent. A call that costs money, or that a budget counts, has a line of its own; the others are added up by the
-- hour. `open`: sent, and not settled yet; it counts as the most that it can cost. `lost`: the process ended before it
-- was settled, and it counts as that for good.
CREATE TABLE charge(
  id INTEGER PRIMARY KEY,
  at_us INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('open', 'lost', 'settled', 'total')),
  tenant TEXT NOT NULL,
  workflow TEXT NOT NULL,
  agent TEXT NOT NULL,
  role TEXT NOT NULL,
  run TEXT NOT NULL,
  item TEXT NOT NULL,
  calls INTEGER NOT NULL CHECK(calls > 0),
  usd_micros INTEGER NOT NULL CHECK(usd_micros >= 0),
  input_tokens INTEGER NOT NULL CHECK(input_tokens >= 0),
  output_tokens INTEGER NOT NULL CHECK(output_tokens >= 0)
) STRICT;

CREATE INDEX charge_at ON charge(at_us);
CREATE INDEX charge_run ON charge(run) WHERE run <> '';
CREATE INDEX charge_open ON charge(id) WHERE state = 'open';
CREATE UNIQUE INDEX charge_total ON charge(at_us, tenant, workflow, agent, role, item) WHERE state = 'total';
