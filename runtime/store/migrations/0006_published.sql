-- The workflows that were published here: which definition has a name now, and the document as it came.
CREATE TABLE published(
  name TEXT PRIMARY KEY,
  definition TEXT NOT NULL,
  source BLOB NOT NULL,
  published_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
