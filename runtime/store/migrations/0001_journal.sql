-- The journal of every run, its index, and the definitions that runs are pinned to.

CREATE TABLE definition(
  key INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  document BLOB NOT NULL,
  saved_us INTEGER NOT NULL
) STRICT;
CREATE INDEX definition_name ON definition(name, saved_us);

CREATE TABLE run(
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  workflow TEXT NOT NULL,
  definition TEXT NOT NULL,
  tenant TEXT NOT NULL,
  status TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  updated_us INTEGER NOT NULL,
  seq INTEGER NOT NULL
) STRICT;
CREATE INDEX run_status ON run(status);
CREATE INDEX run_workflow ON run(workflow);

CREATE TABLE idempotency(
  key TEXT PRIMARY KEY,
  run INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An entry's type and format version as one small number, so that neither costs bytes in every row.
CREATE TABLE entry_type(
  code INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  v INTEGER NOT NULL,
  UNIQUE(name, v)
) STRICT;

-- seq orders the entries of all runs by their commits; run_seq counts one run's from 1 without gaps.
-- No foreign keys: each would cost a lookup per entry; verification looks for entries without a run.
CREATE TABLE event(
  seq INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  run_seq INTEGER NOT NULL,
  at_us INTEGER NOT NULL,
  type INTEGER NOT NULL,
  hash BLOB NOT NULL,
  data TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_run ON event(run, run_seq);

CREATE TRIGGER event_keeps BEFORE UPDATE ON event BEGIN
  SELECT RAISE(ABORT, 'the journal is append-only');
END;
CREATE TRIGGER event_stays BEFORE DELETE ON event BEGIN
  SELECT RAISE(ABORT, 'the journal is append-only');
END;
