-- The W3C trace context that a run was asked for in; a run of a trace of its own has no row.

CREATE TABLE trace(
  run INTEGER PRIMARY KEY,
  context TEXT NOT NULL
) STRICT;
