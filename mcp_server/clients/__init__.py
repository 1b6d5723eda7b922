"""Registration with coding agents: their settings files, edits of them, and trials."""
