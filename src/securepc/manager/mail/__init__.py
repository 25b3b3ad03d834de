"""E-mail to administrators: an outbox in the database, and a thread that hands it to a mail server."""
