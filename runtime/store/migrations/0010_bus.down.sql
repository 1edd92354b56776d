DROP TABLE dead_letter;
DROP TABLE bus_failure;
DROP TABLE bus_consumer;
DROP TABLE message;
