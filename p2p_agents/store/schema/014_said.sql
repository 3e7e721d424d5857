-- Over what others said of themselves or of each other, so that what a disk changed is noticed and not shown as their
-- words. Empty in rows of before, which are believed.
ALTER TABLE requests ADD COLUMN digest BLOB NOT NULL DEFAULT x'';
ALTER TABLE introductions ADD COLUMN digest BLOB NOT NULL DEFAULT x'';
