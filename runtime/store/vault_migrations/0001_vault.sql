-- The values that pseudonyms stand for, of one tenant. A value is in this file and in no other.
CREATE TABLE pseudonym(
  key INTEGER PRIMARY KEY,          -- the order in which they were given
  scope TEXT NOT NULL,              -- a run's id, or memory/COLLECTION
  entity TEXT NOT NULL,
  number INTEGER NOT NULL CHECK(number > 0),
  core TEXT NOT NULL,               -- ENTITY_NUMBER_MARK, as the journal has it
  value TEXT NOT NULL,
  is_number INTEGER NOT NULL CHECK(is_number IN (0, 1)),
  created_us INTEGER NOT NULL,
  UNIQUE(scope, entity, number)
) STRICT;
CREATE INDEX pseudonym_age ON pseudonym(created_us);

-- The highest number of an entity whose value was purged: a number that was given out is never given again.
CREATE TABLE spent(
  scope TEXT NOT NULL, entity TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY(scope, entity)
) STRICT, WITHOUT ROWID;

-- What the marks of pseudonyms are made with.
CREATE TABLE secret(key INTEGER PRIMARY KEY CHECK(key = 1), content BLOB NOT NULL CHECK(length(content) = 32)) STRICT;
INSERT INTO secret VALUES(1, randomblob(32));
