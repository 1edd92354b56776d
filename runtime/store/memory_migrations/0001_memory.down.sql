DROP TABLE text_vector;
DROP TABLE unindexed;
DROP TABLE quote;
DROP TABLE passage;
DROP TABLE document;
DROP TABLE collection;
