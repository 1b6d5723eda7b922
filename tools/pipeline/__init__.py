"""One call's way through validation, sources, routing, the tool and its receipt."""
