"""An outside party's cosigner (C2SP tlog-witness v1.0.0): it signs a log's checkpoint only where the log has
grown from the one it signed before, so that no operator can show two histories to two people.

An insurer runs it with `securepc witness run`; docs/operate/witness.md.
"""
