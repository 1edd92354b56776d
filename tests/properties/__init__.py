"""Laws that hold for whatever comes: Hypothesis looks for the value, plan or order of events that breaks one."""
