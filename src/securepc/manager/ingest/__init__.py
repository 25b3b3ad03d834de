"""What devices send: enrolment, sessions, batches, heartbeats; and the opener of what the ledger accepted."""
