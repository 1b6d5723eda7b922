"""Registration with coding agents: edits their settings files and tests registrations."""
