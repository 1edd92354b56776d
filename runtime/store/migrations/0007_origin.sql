-- Runs that are not what they look like in a list: what-ifs, and those that came from elsewhere.

CREATE TABLE origin(
  run INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  origin TEXT NOT NULL,
  at_us INTEGER NOT NULL
) STRICT;
