-- What is remembered of the triggers of published workflows; which there are, their definitions say.

CREATE TABLE trigger_state(
  workflow TEXT NOT NULL,
  name TEXT NOT NULL,
  is_paused INTEGER NOT NULL DEFAULT 0,
  cursor_us INTEGER NOT NULL DEFAULT 0,
  fired INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  last_us INTEGER NOT NULL DEFAULT 0,
  last_run TEXT NOT NULL DEFAULT '',
  last_error TEXT NOT NULL DEFAULT '',
  PRIMARY KEY(workflow, name)
) STRICT, WITHOUT ROWID;
