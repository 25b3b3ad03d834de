"""Strict parsers of everything that is signed. Standard library only.

Three rules hold for every parser here:

1. exactly one spelling is accepted, so two different byte strings never mean the same thing;
2. sizes and depths are bounded before anything is allocated;
3. what is hashed or checked is the bytes received, never a re-serialisation.

`canonical` is the JSON spelling, `leaf` frames a signed message, `batch` is the binary batch header,
`block` the binary block header, `documents` the JSON kinds and their fields.
"""
