"""Who may enter the console and the API, and how they prove it."""
