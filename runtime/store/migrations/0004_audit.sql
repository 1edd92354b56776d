-- The audit log: lines that are only ever added, each chained to the one before (runtime/audit/chain.py).

CREATE TABLE audit(
  seq INTEGER PRIMARY KEY,
  at_us INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK(length(hash) = 32),
  body BLOB NOT NULL
) STRICT;

-- Where the chain ends, so that lines taken off its end are missed.
CREATE TABLE audit_head(
  one INTEGER PRIMARY KEY CHECK(one = 1),
  seq INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK(length(hash) = 32)
) STRICT;
INSERT INTO audit_head(one, seq, hash) VALUES(1, 0, zeroblob(32));

CREATE TRIGGER audit_kept BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
