DROP TABLE artefact;
