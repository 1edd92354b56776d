-- What was made from other data, by the digest of all that decided it. Later ids are newer.
CREATE TABLE artefact(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL,
  digest TEXT NOT NULL,
  content BLOB NOT NULL,
  UNIQUE(tenant, kind, digest)
) STRICT;
