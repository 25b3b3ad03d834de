"""What a person asks the agent for: a form each."""
