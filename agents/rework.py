"""Is a turn a wish about what was just said? By its words alone, without a model.

"Make it friendlier", "shorter please", "put that on a sign": the text stands in the conversation,
and nothing has to be found out. "Make it a mail that says what it costs" asks for more than that.
"""

from __future__ import annotations

import re
from typing import Final

_STYLE: Final = (
    r"(?:formal|informal|casual|friendly|polite(?:ly)?|professional(?:ly)?|concise|brief(?:ly)?|"
    r"short|fun|funny|playful|serious(?:ly)?|warm|personal|direct|simple|simply|empathetic|"
    r"enthusiastic|excited|cheerful|technical|detailed|neutral|gentle|gently|witty|plain|catchy|"
    r"snappy|punchy|kind(?:ly)?|upbeat|stiff|dry|blunt|soft|harsh|wordy|poetic|creative|"
    r"dramatic|emotional|confident|shorter|longer|friendlier|simpler|warmer|nicer|kinder|"
    r"clearer|funnier|softer|happier|politer|firmer|harder|easier|lighter|crisper|bolder|"
    r"kürzer|länger|freundlicher|höflicher|einfacher|förmlicher|lockerer|sachlicher|"
    r"court|formel|simples?|poli|amical|corto|breve|amable|sencillo)\b"
)
_LANGUAGE: Final = (
    r"(?:english|french|german|spanish|dutch|italian|portuguese|turkish|swedish|danish|norwegian|"
    r"finnish|czech|greek|russian|ukrainian|arabic|chinese|japanese|korean|hindi|latin|"
    r"englisch|deutsch|französisch|spanisch|italienisch|türkisch|"
    r"anglais|français|allemand|espagnol|inglés|español|alemán)\b"
)
_SHAPE: Final = (
    r"(?:e-?mail|mail|letter|table|lists?|points|bullets|poem|haiku|limerick|tweet|post|rhymes?|"
    r"song|rap|message|memo|note|reply|dialogue|story|summary|slides?|sign|poster|flyer|card|"
    r"checklist|caption|headline|slogan|announcement|reminder|notice|newsletter|press release|"
    r"release notes|emojis?|json|csv|yaml|xml|markdown|html|words|sentences?|lines?|paragraphs?|"
    r"form|english|french|german|spanish|dutch)\b"
)
_IT: Final = (
    # What follows "that" must say how: "translate that letter" and "put this on my calendar" bring
    # something new.
    r"(?:it|them|(?:your|the)\s+(?:last\s+|previous\s+)?(?:answer|reply|response)|"
    r"(?:that|this|these|those)(?=\s*(?:$|[?.!,]|(?:please|again|once|more|less|much|even|a\s+bit|"
    r"down|up|an?|in(?:to)?|to|as|for|on|with|without|under|using|like|so|sound)\b|"
    + _STYLE
    + r")))"
)
_POLITE: Final = (
    r"(?:(?:please|kindly|now|just|then|(?:can|could|would|will)\s+(?:you|i)|let['’]?s|"
    r"i(?:['’]d)?\s+(?:would\s+)?(?:like|want|need)(?:\s+you\s+to|\s+to)?)[\s,]+)*"
)
_TO_SOMEBODY: Final = r"(?:(?:me|us|to me)\s+)?"
_ALL_THE_SAME: Final = r"[^:\"“\n]{0,80}"
"""After a colon or a quotation mark stands a text of the turn's own."""

_PATTERNS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # "Could you make it sound more excited?", "boil that down to one line"
        rf"{_POLITE}(?:make|rewrite|rephrase|reword|shorten|lengthen|translate|summari[sz]e|"
        r"simplify|say|write|expand|polish|format|condense|repeat|boil|tone|cut|trim|water|spice|"
        rf"convert|recast|phrase|adapt|adjust|tweak|improve)\s+{_IT}(?!['’])\b{_ALL_THE_SAME}",
        # "Turn them into bullet points", "can I have this as an email for …?"
        rf"{_POLITE}(?:turn|put|get|have|give|show|present|arrange|send|set|list|explain|tell)\s+"
        rf"{_TO_SOMEBODY}(?:it|that|this|them|these|those|(?:your|the)\s+answer)\s+(?:out\s+)?"
        rf"(?:in(?:to)?|as|on|to)\s+(?:(?:an?|the)\s+)?(?:[\w-]+\s+){{0,2}}?{_SHAPE}"
        rf"{_ALL_THE_SAME}",
        # "Explain that like I am five", "tell it again for a child"
        rf"{_POLITE}(?:explain|tell|present)\s+{_TO_SOMEBODY}(?:it|that|this|them)\s+"
        rf"(?:again\s+)?(?:like|as\s+(?:if|an?)|(?:for|to)\s+(?:an?|my|our)|more|in\s+(?:plain|simple))\b"
        rf"{_ALL_THE_SAME}",
        # "Reply to our customer with that, very kindly", "draft a reminder on that basis"
        rf"{_POLITE}(?:write|draft|compose|create|make|prepare|reply|answer|warn|remind|inform|"
        rf"message|tell(?!\s+(?:me|us)\b)|an?\b|(?:[\w-]+\s+){{0,2}}{_SHAPE})[^:?\"“\n]{{0,80}}?\s"
        r"(?:about|with|of|from|on|using)\s+(?:it|them|(?:that|this|these|those)(?:\s+basis)?)"
        r"(?=\s*(?:$|[?.!,:;]|(?:in|as|for|to|please)\b))[^?\"“\n]{0,120}[?.!]*",
        # "Make me a rhyme so I can remember"
        rf"{_POLITE}(?:make|write|give)\s+(?:me|us)\s+(?:an?\s+)?(?:[\w-]+\s+){{0,2}}?{_SHAPE}\s+"
        rf"(?:so|to)\s+(?:that\s+)?(?:i|we)\b{_ALL_THE_SAME}",
        # "Put that more simply", "I want it funnier"
        rf"{_POLITE}(?:(?:put|have|get)\s+)?(?:it|that|this)\s+(?:to\s+(?:be|sound)\s+)?"
        rf"(?:(?:a\s+bit|much|more|less|even)\s+)*{_STYLE}[^:?\"“\n]{{0,40}}[?.!]*",
        # "That, but as a nursery rhyme"
        rf"(?:that|this|it|the\s+same)[\s,]+(?:but\s+|only\s+|just\s+)?(?:as\s+an?|in|like|for|without)"
        rf"\s{_ALL_THE_SAME}",
        # "Same in Italian", "as a mail to Tom", "like a pirate", "without the jargon"
        rf"(?:the\s+)?same(?:\s+(?:thing|again|but))*\s+(?:in|as)\s+(?:an?\s+)?"
        rf"(?:{_SHAPE}|{_LANGUAGE})[^:?\"“\n]{{0,40}}[?.!]*",
        rf"(?:as|into)\s+an?\s+(?:[\w-]+\s+)?{_SHAPE}\s+(?:to|for)\s+[^:,?\"“\n]{{1,40}}",
        r"like\s+an?\s+(?:[\w’'-]+\s+){0,2}[\w’'-]+[.!]*",
        r"in\s+the\s+(?:style|voice|tone)\s+of\s+[^:,?\"“\n]{1,40}",
        r"without\s+(?:the\s+|any\s+)?(?:jargon|emojis?|fluff|buzzwords?|slang|rhymes?|bullets|"
        r"exclamation\s+marks?|technical\s+terms|foreign\s+words)[.!\s]*(?:please)?",
        r"(?:far\s+|way\s+|much\s+|a\s+bit\s+)?too\s+(?:long|short|dull|boring|vague|pushy|wordy|"
        rf"complicated|{_STYLE})[.!]*",
        # "Summarise the above"
        r"(?:please\s+)?(?:summari[sz]e|tl;?dr|rephrase|reword|paraphrase|simplify|shorten|translate)"
        r"(?:\s+(?:the\s+above|all\s+(?:of\s+)?(?:that|this)))?[\s,]*(?:please)?[.!]*",
        # "Once more, with an everyday comparison?"
        rf"(?:(?:once|one\s+time)\s+(?:more|again)|one\s+more\s+time|again)[\s,]+(?:please[\s,]+)?"
        rf"(?:but\s+)?(?:as|for|in|with|without|like)\b{_ALL_THE_SAME}",
        r"i\s+(?:don['’]?t|didn['’]?t|do\s+not|did\s+not)\s+(?:get|understand|follow)\s+"
        r"(?:it|that|this|(?:th[eo]se|the)\s+words)(?:\s+at all)?[.!]*",
        # "Formuliere das freundlicher", "Traduis-le en anglais"
        r"(?:(?:bitte|jetzt|nun|kannst du|können sie)\s+)*(?:formulier\w*|schreib\w*|übersetz\w*|"
        rf"mach\w*|kürz\w*|fass\w*|sag\w*|erklär\w*)\s+(?:das|es|dies)\b{_ALL_THE_SAME}",
        r"(?:(?:tu\s+)?peux(?:-tu)?\s+)?(?:re)?(?:formule[rz]?|traduis(?:ez)?|résume[rz]?|raccourcis|"
        rf"écris|mets)(?:-l[ea]s?|\s+(?:ça|cela))\b{_ALL_THE_SAME}",
        rf"(?:hazlo|tradúcelo|resúmelo|acórtalo|escríbelo)\b{_ALL_THE_SAME}",
    )
)
_OF_THE_ANSWER: Final = re.compile(
    # "Put the numbers in a table", "number the steps": what the answer has.
    rf"{_POLITE}(?:(?:turn|put|make|sort|arrange|list|format|write|show|present)\s+{_TO_SOMEBODY}"
    rf"the\s+([a-z]{{3,}})\s[^:?\"“\n]{{0,60}}?\b(?:in(?:to)?|as)\s+(?:an?\s+)?(?:[\w-]+\s+)?"
    rf"{_SHAPE}|(?:number|bold|underline|highlight|alphabeti[sz]e|shorten|simplify|translate|rewrite|"
    rf"rephrase|reword|expand|merge|drop|delete)\s+(?:the|all|each|every)\s+(?:[\w-]+\s+)?"
    rf"([a-z]{{3,}})\b)[^:\"“\n]{{0,40}}",
    re.IGNORECASE,
)
_IN_EVERY_ANSWER: Final = frozenset(
    {"numbers", "figures", "steps", "points", "facts", "text", "sentence", "sentences", "wording"}
)

_TERSE: Final = re.compile(
    rf"{_STYLE}|{_LANGUAGE}|fewer words|(?:use )?(?:fewer|simpler) words|"
    r"(?:one|two|three|four|five|ten|\d+)\s+(?:words?|sentences?|lines?|bullets)\b",
    re.IGNORECASE,
)
_SHAPES: Final = re.compile(rf"\b{_SHAPE}", re.IGNORECASE)
_AROUND: Final = re.compile(
    r"\b(?:a|again|also|an|and|anything|as|auf|be|bit|bitte|bullet|but|can|could|en|etwas|even|far|"
    r"favor|for|in|into|it|just|less|little|lot|make|maybe|me|más|mal|more|much|no|noch|nochmal|not|now|of|only|or|"
    r"perhaps|please|pls|plain|plus|por|s['’]il|slightly|so|something|still|te|than|that|the|then|to|"
    r"too|un|und|use|very|vous|plaît|way|with|without)\b",
    re.IGNORECASE,
)
_MOST_WORDS: Final = 8

_ASKS_MORE: Final = re.compile(
    r"\b(?:what|when|how|who|whom|where|why|which|whether|tell (?:me|us))\b"
    r"(?!\s+(?:you|it)\s+(?:said|sounds))"
    r"|\b(?:and|plus|but)\s+(?:also\s+)?(?:(?:add|mention|include|say|saying|give|state)\s+)?"
    r"(?:the|our|its|their)\b",
    re.IGNORECASE,
)
"""What the answer cannot have said yet."""

_ABOUT_THE_ANSWER: Final = re.compile(
    r"(?:i|you|it|that['’]?s?|this|these|those|too|not|no|hm+|sounds|very|really|wonderful|lovely|"
    r"great|good|nice|fine|ok(?:ay)?|well|now|sorry|thanks?|please|still|almost|much|far|way)\b",
    re.IGNORECASE,
)
"""How a clause begins that may stand before a wish: an opinion, nothing that would be new."""

_CLAUSES: Final = re.compile(r"(?<=[.!?;])\s+|,\s+|\n+")
_FEW_CLAUSES: Final = 3


def is_rework(turn: str, answer: str) -> bool:
    """Whether a turn only wants what was said before in another way.

    Args:
        turn: Without its courtesies; at most some hundred characters.
        answer: What was said before.
    """
    if _is_wish(turn, answer):
        return True
    clauses = [clause for clause in _CLAUSES.split(turn) if clause.strip()]
    if not 1 < len(clauses) <= _FEW_CLAUSES or _ASKS_MORE.search(turn):
        return False
    *before, last = clauses
    if "?" in "".join(before):
        return False
    # "Less stiff, and mention that I like tea"; "I don't understand those words, say it simply"
    opinions = all(_ABOUT_THE_ANSWER.match(clause) for clause in before)
    return _is_wish(clauses[0], answer) or (opinions and _is_wish(last, answer))


def names_a_language(text: str) -> bool:
    """Whether a text names a language, as in "Is the menu there in English?"."""
    return re.search(rf"\b{_LANGUAGE}", text, re.IGNORECASE) is not None


def _is_wish(turn: str, answer: str) -> bool:
    if _is_terse(turn):
        return True
    if _ASKS_MORE.search(turn):
        return False
    if any(pattern.fullmatch(turn) for pattern in _PATTERNS):
        return True
    of_answer = _OF_THE_ANSWER.fullmatch(turn)
    if of_answer is None:
        return False
    noun = (of_answer[1] or of_answer[2]).lower()
    return noun in _IN_EVERY_ANSWER or noun in answer.lower()


def _is_terse(turn: str) -> bool:
    """Whether a turn is nothing but words for a style, a form or a language."""
    if len(turn.split()) > _MOST_WORDS:
        return False
    rest, found = _TERSE.subn(" ", turn)
    if "?" not in turn:
        # "In a letter?" may ask for the way that something has to be done.
        rest, shapes = _SHAPES.subn(" ", rest)
        found += shapes
    return found > 0 and re.search(r"\w", _AROUND.sub(" ", rest)) is None
