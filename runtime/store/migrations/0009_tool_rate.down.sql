DROP TABLE tool_rate;
