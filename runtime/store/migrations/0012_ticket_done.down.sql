ALTER TABLE ticket DROP note;
ALTER TABLE ticket DROP closed_by;
ALTER TABLE ticket DROP closed_us;
