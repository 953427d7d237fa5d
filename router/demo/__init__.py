"""The sample company: its handbook, and questions that show what the router does with them."""
