DROP TABLE secret;
DROP TABLE spent;
DROP TABLE pseudonym;
