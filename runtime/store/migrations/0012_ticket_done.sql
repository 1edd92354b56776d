-- When a ticket was closed, by whom, and what they said of it.

ALTER TABLE ticket ADD closed_us INTEGER;
ALTER TABLE ticket ADD closed_by TEXT NOT NULL DEFAULT '';
ALTER TABLE ticket ADD note TEXT NOT NULL DEFAULT '';
