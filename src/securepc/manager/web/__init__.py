"""The web filter as administrators keep it: categories, own hosts, exceptions, mail servers."""
