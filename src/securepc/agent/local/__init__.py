"""The people at the PC and their agent: a socket that any user of the PC may use, each as himself.

Each side sends lines of JSON. A question is `{"ask": name, …}`, an answer `{"ok": {…}}` or
`{"error": {"code", "ja", "en"}}` (docs/formats/local.md). Who asks is what the operating system says, never
what the line says.
"""
