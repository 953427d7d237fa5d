"""The classifier that ships, through the path that questions take."""

from __future__ import annotations

from pathlib import Path

from backends.base import Message
from router.app import open_decisions
from router.config import Settings
from router.evaluation.routing import decide
from router.policy import Route

F, B, H = Route.FACTUAL, Route.BEHAVIOURAL, Route.HYBRID
OBVIOUS = [
    (B, "Hi"),
    (B, "Hello, how are you?"),
    (B, "Thanks!"),
    (B, "Thank you, that was helpful."),
    (B, "Good morning"),
    (B, "Bye"),
    (F, "What is our returns policy?"),
    (F, "How many days of annual leave do I get in Germany?"),
    (F, "Can I expense a taxi to the airport?"),
    (F, "List the countries we ship to"),
    (F, "Who approves purchases above 5,000 euros?"),
    (F, "when is the next payday"),
    (F, "What is the capital of Australia?"),
    (F, "How do I reset my VPN password?"),
    (F, "Is breakfast included in the room rate?"),
    (F, "Tell me the warranty period of the dishwasher."),
    (F, "My card was stolen, what do I do?"),
    (B, "Rewrite this in a friendly tone: Your payment is late and we will close the account."),
    (B, "How would a pirate say hello?"),
    (B, "Write a haiku about the sea."),
    (B, "Translate into Spanish: The shop is closed today."),
    (B, "Summarise the following text: The bus was late, and nobody had told the passengers."),
    (B, "Write a Python function that adds two numbers."),
    (B, "Give me five names for a coffee bar."),
    (B, "What would a pirate say about Mondays?"),
    (B, "Act as a strict teacher and scold me."),
    (B, "Correct the spelling: I has recieved you're letter"),
    (H, "Write a friendly reply to a customer asking how long they may return boots"),
    (H, "Write our customer the current return policy in a warm tone"),
    (H, "Explain our travel policy like I'm five"),
    (H, "Answer as a pirate: what are your opening hours?"),
    (H, "Give me our shipping costs as a table"),
    (H, "Explain how vaccines work to a five-year-old"),
    (H, "Write a tweet with our new opening hours"),
]


async def test_obvious_questions_go_where_they_should(tmp_path: Path) -> None:
    async with open_decisions(Settings(home=tmp_path)) as steps:
        wrong = []
        for route, question in OBVIOUS:
            decision = await decide(steps, (Message("user", question),))
            if decision.route is not route:
                wrong.append((question, decision.route, decision.reason))

    assert wrong == []
