-- Tickets that workflows open. A key has one ticket, however often the step that opens it is tried.

CREATE TABLE ticket(
  key INTEGER PRIMARY KEY,
  idempotency_key TEXT NOT NULL UNIQUE,
  created_us INTEGER NOT NULL,
  tenant TEXT NOT NULL,
  run TEXT NOT NULL,
  step TEXT NOT NULL,
  subject TEXT NOT NULL,
  category TEXT NOT NULL,
  summary TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'open' CHECK(status IN ('open', 'closed'))
) STRICT;
CREATE INDEX ticket_tenant ON ticket(tenant, status);
