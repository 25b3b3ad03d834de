"""The manager: server and console. One folder a context; `app` wires them; `core.Manager` they share."""
