"""Looking after databases: several made one, few segments of many, what is never used left out, and their figures."""
