-- The project files that definitions name, each content once. Which path has which hash is said by the definition.
CREATE TABLE project_file(
  key INTEGER PRIMARY KEY,
  sha256 TEXT NOT NULL UNIQUE,
  content BLOB NOT NULL
) STRICT;
