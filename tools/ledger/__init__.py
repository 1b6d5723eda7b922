"""What each call cost and saved."""
