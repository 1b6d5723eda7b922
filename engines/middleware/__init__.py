"""What surrounds any engine, each a wrapper with the same contract."""
