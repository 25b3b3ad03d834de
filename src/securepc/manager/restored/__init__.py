"""After a restore: what is missing is asked for, and the log goes on as a successor (decision 0032)."""
