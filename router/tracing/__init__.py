"""Spans: who sets them up (`setup`), what they are called (`names`), who makes them.

`steps` makes the span of a request and of each step of the graph, `ports` those around everything
that the agents call. The layers beneath know nothing of OpenTelemetry.
"""
