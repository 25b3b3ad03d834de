"""The agent on a PC: collects, journals, seals, uploads. Imports `wire` and the pure four of `ledger`."""
