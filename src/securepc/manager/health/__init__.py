"""Whether the manager is well, for people and for Prometheus."""
