"""The agent's face in the user's session: notices, the PC's state at a glance, requests, what is recorded.

`answers`, `glance`, `link`, `seen`, `single` and `words` need nothing but Python and the agent's client; the
command line uses them too. The rest draws with PySide6, the optional extra `tray`.
"""
