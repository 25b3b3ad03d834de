"""What administrators do, sealed on the ledger like any other entry."""
