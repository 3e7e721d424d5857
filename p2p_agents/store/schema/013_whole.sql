-- Over the rest of the row, so that what a disk changed is noticed. Empty in rows of before, which are believed.
ALTER TABLE sessions ADD COLUMN digest BLOB NOT NULL DEFAULT x'';
ALTER TABLE frames ADD COLUMN digest BLOB NOT NULL DEFAULT x'';
