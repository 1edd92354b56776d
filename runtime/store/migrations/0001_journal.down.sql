DROP TABLE event;
DROP TABLE entry_type;
DROP TABLE idempotency;
DROP TABLE run;
DROP TABLE definition;
