"""SQLite files shared by all processes of a user."""
