"""The ledger: records of what each call cost and saved."""
