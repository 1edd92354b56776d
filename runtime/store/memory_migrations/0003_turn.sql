-- What was asked and answered in sessions, one turn of each step. One that is not kept yet is of a step that has
-- answered, and of which the journal is about to say so.
CREATE TABLE turn(
  tenant TEXT NOT NULL,
  run TEXT NOT NULL,
  step TEXT NOT NULL,
  workflow TEXT NOT NULL,
  agent TEXT NOT NULL,
  session TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  expires_us INTEGER NOT NULL,
  asked TEXT NOT NULL,
  answered TEXT NOT NULL,
  is_kept INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(tenant, run, step)
) STRICT;
CREATE INDEX turn_session ON turn(tenant, workflow, agent, session, at_us);
CREATE INDEX turn_expires ON turn(expires_us);
CREATE INDEX turn_offered ON turn(run) WHERE NOT is_kept;
