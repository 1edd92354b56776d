DROP TABLE project_file;
