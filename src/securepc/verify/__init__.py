"""The auditor's tool: evidence in, verdict out. Standard library only.

`pack` and `evidence` of `securepc.wire.signed` read the file, `trust` what the auditor was given,
`check` judges in numbered steps, `report` puts the verdict in words, `ed25519` verifies signatures
where no faster library is at hand. Run `python -m securepc.verify FILE.zip --trust PATH`.
"""
