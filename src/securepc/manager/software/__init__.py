"""What the agency's PCs have installed, in which state they are, and what is done about it."""
