-- Each definition that a name was given, with who gave it and why: what a workflow can be rolled back to.

CREATE TABLE publication(
  seq INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  definition TEXT NOT NULL,
  source BLOB NOT NULL,
  at_us INTEGER NOT NULL,
  actor TEXT NOT NULL,
  note TEXT NOT NULL
) STRICT;

CREATE INDEX publication_of ON publication(name, seq);

INSERT INTO publication(name, definition, source, at_us, actor, note)
SELECT name, definition, source, published_us, '', '' FROM published ORDER BY published_us;
