"""Ghost Drives: the manager's shares of their keys, when they are released, and what the drives held."""
