"""Model backends behind one ``Engine`` contract, and the middleware around them."""
