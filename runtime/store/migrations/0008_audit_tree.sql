-- The audit log as a tree for each tenant (runtime/audit/record.py, runtime/audit/tree.py). Lines of the table `audit`
-- move here when the appliance next starts.

CREATE TABLE audit_chain(
  key INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL UNIQUE,
  size INTEGER NOT NULL,
  prev BLOB NOT NULL CHECK(length(prev) = 32),
  peaks BLOB NOT NULL
) STRICT;

-- seq counts a chain's records from 1; the tree's leaf of a record is seq - 1. What a record tells of is its detail:
-- the record itself holds a hash of it alone.
CREATE TABLE audit_record(
  chain INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  record BLOB NOT NULL,
  leaf BLOB NOT NULL CHECK(length(leaf) = 32),
  detail BLOB NOT NULL,
  PRIMARY KEY(chain, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_checkpoint(
  chain INTEGER NOT NULL,
  size INTEGER NOT NULL,
  at_us INTEGER NOT NULL,
  peaks BLOB NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY(chain, size)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER audit_record_stays BEFORE DELETE ON audit_record BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_record_keeps BEFORE UPDATE ON audit_record BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_checkpoint_stays BEFORE DELETE ON audit_checkpoint BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_checkpoint_keeps BEFORE UPDATE ON audit_checkpoint BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END;
