"""The kinds of event as data, by what they are about (docs/formats/event.md). Read it through
`wire.kinds`."""
