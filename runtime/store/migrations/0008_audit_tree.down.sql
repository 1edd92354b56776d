DROP TRIGGER audit_checkpoint_keeps;
DROP TRIGGER audit_checkpoint_stays;
DROP TRIGGER audit_record_keeps;
DROP TRIGGER audit_record_stays;
DROP TABLE audit_checkpoint;
DROP TABLE audit_record;
DROP TABLE audit_chain;
