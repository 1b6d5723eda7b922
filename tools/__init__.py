"""What can be asked: the four tools and the one pipeline they run in."""
