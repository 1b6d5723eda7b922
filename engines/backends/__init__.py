"""One contract, one file each; imported when built."""
