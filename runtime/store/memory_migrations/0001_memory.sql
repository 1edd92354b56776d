-- Documents of a collection, cut into passages and sentences. Vectors are float32 little-endian of unit length.
-- Ids are never given twice, so that a stale entry of an index cannot point at another passage.
CREATE TABLE collection(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  UNIQUE(tenant, name)
) STRICT;

CREATE TABLE document(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  collection INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  source TEXT NOT NULL,
  digest TEXT NOT NULL,
  data TEXT NOT NULL,
  UNIQUE(collection, source)
) STRICT;

CREATE TABLE passage(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  collection INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  document INTEGER NOT NULL REFERENCES document(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  heading TEXT NOT NULL,
  text TEXT NOT NULL,
  vector BLOB NOT NULL,
  UNIQUE(document, position)
) STRICT;
CREATE INDEX passage_collection ON passage(collection);

CREATE TABLE quote(
  passage INTEGER NOT NULL REFERENCES passage(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  vector BLOB NOT NULL,
  PRIMARY KEY(passage, position)
) STRICT;

-- Collections that changed while no vector index could be kept; they are searched one vector after the other.
CREATE TABLE unindexed(
  collection INTEGER PRIMARY KEY REFERENCES collection(id) ON DELETE CASCADE
) STRICT;

-- Vectors by the SHA-256 of their text, so that no text is embedded twice.
CREATE TABLE text_vector(
  tenant TEXT NOT NULL,
  model TEXT NOT NULL,
  digest BLOB NOT NULL,
  vector BLOB NOT NULL,
  PRIMARY KEY(tenant, model, digest)
) STRICT;
