-- Messages of the bus besides the journal's entries. One count numbers both, in the order of their commits.
-- The hash is the envelope's own; body is NULL when its time to be kept is over, so that no number is ever missing.
CREATE TABLE message(
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  tenant TEXT NOT NULL,
  subject TEXT NOT NULL,
  run TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  hash BLOB NOT NULL,
  body BLOB,
  UNIQUE(tenant, id)
) STRICT;

-- Who takes messages under a name. Everything up to cursor is acknowledged or a dead letter.
CREATE TABLE bus_consumer(
  key INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  wanted TEXT NOT NULL,
  cursor INTEGER NOT NULL,
  created_us INTEGER NOT NULL,
  UNIQUE(tenant, name)
) STRICT;

-- What was delivered behind the cursor and not taken.
CREATE TABLE bus_failure(
  consumer INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  deliveries INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY(consumer, seq)
) STRICT, WITHOUT ROWID;

-- What is delivered no more, until somebody asks for it.
CREATE TABLE dead_letter(
  id INTEGER PRIMARY KEY,
  consumer INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  deliveries INTEGER NOT NULL,
  reason TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  revived_us INTEGER,
  UNIQUE(consumer, seq)
) STRICT;
