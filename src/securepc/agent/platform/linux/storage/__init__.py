"""The Storage Shutter's ports on Linux: USB by interface, cards by their bus, optical drives."""
