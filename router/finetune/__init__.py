"""``router finetune``: from a file of examples to an adapter that the gate let through."""
