"""From labelled questions to a policy: examples, fit, evaluate. Pure over recorded rows."""
