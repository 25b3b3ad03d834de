"""The keys of this manager: which are in use, how each is changed, the owner's sheet."""
