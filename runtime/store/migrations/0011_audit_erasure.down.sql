DROP TRIGGER audit_record_keeps;
CREATE TRIGGER audit_record_keeps BEFORE UPDATE ON audit_record BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END;
