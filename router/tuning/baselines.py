"""What a routing figure has to beat: one constant route, keyword rules, TF-IDF."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from router.policy import Route
from router.tuning.metrics import agreement
from router.tuning.rows import Row

_MANNER = re.compile(
    r"\b(write|rewrite|draft|compose|create|generate|translate|summari[sz]e|rephrase|poem|story|"
    r"tone|style|act as|pretend|imagine|role.?play|like an? |in the voice|email|tweet|code|"
    r"function)\b",
    re.IGNORECASE,
)
_FACTS = re.compile(
    r"^\W*(what|when|where|who|which|how (many|much|long|often|do|can)|do|does|is|are|can)\b|"
    r"\b(our|policy|rules?|price|cost|deadline|hours|explain|list)\b",
    re.IGNORECASE,
)


def baselines(train: Sequence[Row], rows: Sequence[Row]) -> Mapping[str, list[Route]]:
    """Return where each of them sends the rows, by name.

    Args:
        train: Rows that TF-IDF learns from: the ones that the classifier was fitted on.
    """
    return {
        "best constant": best_constant(rows),
        "keyword rules": keyword_rules(rows),
        "TF-IDF": tfidf(train, rows),
    }


def best_constant(rows: Sequence[Row]) -> list[Route]:
    """Send every row the one way that agrees best with these very labels."""
    truth = [row.route for row in rows]
    best = max(Route, key=lambda route: agreement(truth, [route] * len(rows)).macro_f1)
    return [best] * len(rows)


def keyword_rules(rows: Sequence[Row]) -> list[Route]:
    """Look for two lists of words, as a first attempt would."""
    routes = []
    for row in rows:
        manner, facts = _MANNER.search(row.text), _FACTS.search(row.text)
        if manner:
            routes.append(Route.HYBRID if facts else Route.BEHAVIOURAL)
        else:
            routes.append(Route.FACTUAL if facts else Route.BEHAVIOURAL)
    return routes


def tfidf(train: Sequence[Row], rows: Sequence[Row]) -> list[Route]:
    """Fit word and character TF-IDF with logistic regression on the same training rows."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True),
    )
    model = make_pipeline(features, LogisticRegression(C=10, class_weight="balanced", max_iter=500))
    model.fit([row.text for row in train], [row.route.value for row in train])
    return [Route(str(route)) for route in model.predict([row.text for row in rows])]
