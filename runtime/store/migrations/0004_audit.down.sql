DROP TRIGGER audit_fixed;
DROP TRIGGER audit_kept;
DROP TABLE audit_head;
DROP TABLE audit;
