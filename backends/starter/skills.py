"""The adapters that ship with the starter model: what they are for and how they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from backends.starter.colours import SCHEMA


@dataclass(frozen=True, slots=True)
class Skill:
    """What an adapter's manifest says besides its files, see `backends.adapters.AdapterSpec`."""

    description: str
    system_prompt: str
    examples: tuple[str, ...]
    slots: bool
    schema: Mapping[str, object] | None = None


SKILLS: Final[Mapping[str, Skill]] = MappingProxyType(
    {
        "brand-voice": Skill(
            "Replies to customers and rewrites in the warm, plain voice of the sample retailer, "
            "with facts from documents where there are some.",
            "You speak in the brand voice.",
            (
                "Write a friendly reply to a customer asking how long they have to return shoes.",
                'Rewrite this in our brand voice: "Your order is late."',
                "Reply to a customer whose jacket arrived with a broken zip.",
                'Put this into a warmer tone: "We cannot refund the gift card."',
                "Answer a customer who wants to know what delivery costs.",
                "Explain the holiday rules to a new colleague in three bullet points.",
                "Write a warm reply to a customer who lost her receipt.",
                'Make this sound kinder: "Send us a photo first."',
                "A customer thanks us for the quick repair. Write a reply.",
                "Tell the team about the parking rules in a cheerful way.",
                "Draft a short e-mail to a customer about exchanging a coat.",
                'How would we say this in the house voice? "You forgot to sign the form."',
            ),
            slots=True,
        ),
        "attributes": Skill(
            "Names the master colour of a marketing colour, as JSON.",
            "You name the master colour as JSON.",
            (
                "What is the master colour of champagne?",
                "Normalise the colour: dusty pink",
                "Which master colour is anthracite?",
                "Map petrol to a master colour",
                "colour_marketing: light sand",
                "Master colour for dark olive green?",
                "nude",
                "dark bordeaux red",
                "Under which master colour do we file mustard?",
                'Turn "rose gold buckle" into our colour attribute',
                "Colour as JSON: moosgrün",
                'What colour is "bleu marine" in our master data?',
            ),
            slots=False,
            schema=SCHEMA,
        ),
        "tone": Skill(
            "Says a given text more formally, in a friendlier way or in fewer words.",
            "You change the tone of a text.",
            (
                'Make this text more formal: "hey, can u send me the file asap?"',
                'Make this shorter: "I just wanted to let you know that the room is booked."',
                'Rewrite this in a friendly tone: "The invoice must be paid by Friday."',
                'Make it shorter and more formal: "Hi guys, quick reminder that we start at nine!"',
                'Turn this into something more professional: "sorry, can\'t make it today"',
                'Please make this e-mail less stiff: "Kindly submit the form."',
                'Make this concise: "So basically the report is kind of finished."',
                'Rephrase this in a casual style: "We regret that the shop is closed."',
                'Can you make this sound more official? "pls bring your badge"',
                'Shorten this message: "Hello everyone, I hope you are well, the lift is broken."',
                'Rewrite this sentence in a formal tone: "gonna be late, sorry!"',
                'Give me a friendlier version of this: "Read the manual first."',
                'Make this friendlier: "Your membership ends in May."',
                'Can you make "we open late today" sound nicer?',
                "make shorter pls: We would like everybody to know that the lift is out of order.",
                "more polite please: send it back now",
                "fewer words: At this point in time we have no news about the delivery.",
                'Write this more casually: "Payment of the amount is overdue."',
            ),
            slots=True,
        ),
    }
)
"""By the adapter's name."""
