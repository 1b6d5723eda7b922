"""Output formats that are parsed by rule."""
