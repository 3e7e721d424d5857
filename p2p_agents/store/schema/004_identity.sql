-- Identity: which freeze a rotate lifts.

ALTER TABLE contacts ADD COLUMN final INTEGER NOT NULL DEFAULT 0;   -- two rotates of one commitment: a human decides
