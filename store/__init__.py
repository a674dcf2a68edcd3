"""Records, ledger, artifacts and snapshots: the only place with SQL."""
