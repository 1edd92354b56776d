-- What a record tells of may be erased, and nothing else of it may change: its detail becomes empty, and a later record
-- `data.erased` says so.

DROP TRIGGER audit_record_keeps;
CREATE TRIGGER audit_record_keeps BEFORE UPDATE ON audit_record
WHEN NOT (
  NEW.detail = x'' AND NEW.chain = OLD.chain AND NEW.seq = OLD.seq AND NEW.record = OLD.record AND NEW.leaf = OLD.leaf
)
BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END;
