"""The request pipeline: validation, sources, routing, running the tool, receipt."""
