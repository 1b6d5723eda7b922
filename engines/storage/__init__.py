"""SQLite files that all processes of a user share."""
