"""Orders to devices: signed, kept until they are carried out, and said to be undelivered while they are."""
