-- When each rule's bucket of calls of a tool is full again (runtime/policies/rates.py).

CREATE TABLE tool_rate(
  tenant TEXT NOT NULL,
  tool TEXT NOT NULL,
  rule TEXT NOT NULL,
  full_at_us INTEGER NOT NULL,
  PRIMARY KEY(tenant, tool, rule)
) STRICT, WITHOUT ROWID;
