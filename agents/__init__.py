"""Who answers: a frozen language model, and the soft prompt that steers it."""
