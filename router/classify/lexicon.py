"""Words that hint at what a question needs, by what they hint at.

A word is looked up as it stands and without a final s.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_CREATE = """
    write draft compose create generate craft design invent make brainstorm suggest propose
    construct produce develop build plan outline imagine prepare sing narrate word script sketch
    finish continue pitch announce think persuade promote
"""
_TRANSFORM = """
    rewrite rephrase reword paraphrase translate summarise summarize shorten expand proofread
    polish correct edit convert simplify extract classify categorise categorize sort fix improve
    turn change soften combine replace remove refactor debug optimise optimize tidy highlight
    reply respond analyse analyze rank score
"""
_ROLE = """
    pirate butler king queen poet wizard robot detective monk cowboy captain coach comedian
    commentator teacher nurse doctor lawyer chef child grandmother grandma yoda shakespeare
    sherlock alien toddler sailor historian storyteller salesman character persona knight
    vampire intern librarian monarch guide herald conductor narrator rapper beginner kid
    teenager layman
"""
_GENRE = """
    poem poetry haiku limerick sonnet verse rhyme rhyming song lyric rap chorus lullaby ode
    story tale fable novel scene dialogue conversation monologue script joke riddle pun slogan
    tagline motto headline caption tweet hashtag blog post article essay speech toast letter
    email mail memo newsletter announcement advert advertisement ad poster brochure diary
    postcard review biography report abstract paragraph interview bio eulogy obituary teaser
    blurb flyer invitation metaphor couplet acrostic chant anthem duet autobiography
"""
_FORMAT = """
    table json yaml xml csv markdown bullet checklist emoji heading column infographic slide
    spreadsheet timeline diagram numbered
"""
_TONE = """
    tone style voice mood friendly friendlier polite politely formal formally informal casual
    funny funnier humorous humour humor witty sarcastic sarcasm empathy empathetic warm warmly
    warmer cheerful cheerfully upbeat playful playfully persuasive professional catchy creative
    dramatic poetic kindly gentle gently reassuring calm calmly excited enthusiasm enthusiastic
    plain slang jargon cheeky silly stern strict assertive confident chatty heartfelt whimsical
    motivational inspiring solemn soothing sympathetic diplomatic fun nicely nicer rude
    conversational engaging
"""
_CODE = """
    python javascript typescript java sql html css php ruby rust kotlin swift golang bash regex
    function algorithm code program query array loop snippet react nodejs dockerfile mysql
    recursion variable string class
"""
_RULES = """
    policy policies fee cost price charge deadline allowed permitted required requirement rule
    limit cover covered coverage period hours open opening expire eligible entitled contact
    address phone number document form procedure process support symptom treatment cause history
    difference capital population founded invented discovered available include included offer
    warranty refund return insurance tax account payment transfer card
"""
_IDEAS = """
    idea name title topic suggestion example theme way recipe plot quote synonym tip question
    prompt activity activities strategies strategy
"""
_REFERS = "this that these those following below above given passage text sentence paragraph"
_OURS = "our we us ours"
_YOURS = "your you yours"
_MINE = "my i me i'm i've mine"
_WHO_WHEN = "who when where which whose whom year date"

WORDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        name: frozenset(words.split())
        for name, words in {
            "create": _CREATE,
            "transform": _TRANSFORM,
            "role": _ROLE,
            "genre": _GENRE,
            "format": _FORMAT,
            "tone": _TONE,
            "code": _CODE,
            "rules": _RULES,
            "ideas": _IDEAS,
            "refers": _REFERS,
            "ours": _OURS,
            "yours": _YOURS,
            "mine": _MINE,
            "who_when": _WHO_WHEN,
        }.items()
    }
)

GREETING = r"(?:hi|hello|hey|hiya|yo|greetings|good (?:morning|afternoon|evening|night)|dear \w+)"
"""How a turn may begin that asks for nothing; a regular expression."""

POLITE = (
    rf"(?:(?:{GREETING}(?: there)?|please|kindly|could you|can you|would you|will you|i want you"
    r" to|i need you to|i(?:'d| would) like (?:you )?to|help me(?: to)?|let's|just|now|then|and|so|"
    r"okay|ok|thanks|would you mind to|quick question|tell me)[\s,.!:]+){0,4}"
)
"""What may stand before the words that matter; a regular expression."""


def alternatives(name: str) -> str:
    """Return the words of one list as a regular expression that matches any of them."""
    return f"(?:{'|'.join(sorted(WORDS[name]))})"
