"""Evidence packs: what anybody can verify offline, made of one moment of the ledger."""
