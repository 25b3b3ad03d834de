"""The PCs: names, users, signs of life, enrolment tokens, revocation."""
