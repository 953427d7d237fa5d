"""What the router talks to: one module for each thing outside."""
