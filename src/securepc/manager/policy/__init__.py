"""The desired state of devices, signed."""
