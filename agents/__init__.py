"""Who answers: each agent turns a question into a stream of events."""
