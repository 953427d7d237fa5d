"""Every span and attribute name, in one place.

``gen_ai.*`` follows the OpenTelemetry GenAI semantic conventions (v1.41 names), whose status is
still Development; they allow own operations, and ``execute_step`` is ours for the steps of the
workflow that are none of theirs. ``openinference.span.kind`` and ``graph.node.id`` (OpenInference)
make Phoenix draw what those do not cover yet. There is no convention for routing decisions, so
``router.*`` is ours.
"""

from __future__ import annotations

from typing import Final

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
AGENT_NAME: Final = "gen_ai.agent.name"
DATA_SOURCE_ID: Final = "gen_ai.data_source.id"
TOP_K: Final = "gen_ai.retrieval.top_k"
RETRIEVAL_QUERY: Final = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"
EMBEDDING_DIMENSION: Final = "gen_ai.embeddings.dimension.count"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
ERROR_TYPE: Final = "error.type"

SPAN_KIND: Final = "openinference.span.kind"
GRAPH_NODE: Final = "graph.node.id"

ROUTE: Final = "router.route"
NEEDS_FACTS: Final = "router.needs_facts"
NEEDS_MANNER: Final = "router.needs_manner"
MARGIN: Final = "router.margin"
POLICY: Final = "router.policy"
PROPENSITY: Final = "router.propensity"
UNCERTAIN: Final = "router.uncertain"
DECIDED_BY: Final = "router.decided_by"
REASON: Final = "router.reason"
DEGRADED: Final = "router.degraded"
ABSTAINED: Final = "router.abstained"
EVIDENCE_SUFFICIENT: Final = "router.evidence.sufficient"
EVIDENCE_SUPPORT: Final = "router.evidence.support"
EVIDENCE_PASSAGES: Final = "router.evidence.passages"
EVIDENCE_PROBED: Final = "router.evidence.probed"
FILTER_FIELDS: Final = "router.filter.fields"
FILTER_CONDITIONS: Final = "router.filter.conditions"
RERANKED: Final = "router.reranked"
RERANKED_BY: Final = "router.reranked_by"
RERANK_FAILURE: Final = "router.rerank.failure"
ADAPTER_NAME: Final = "router.adapter.name"
ADAPTER_VERSION: Final = "router.adapter.version"
ADAPTER_CHOSEN_BY: Final = "router.adapter.chosen_by"
ADAPTER_SIMILARITY: Final = "router.adapter.similarity"
ADAPTER_MARGIN: Final = "router.adapter.margin"
ADAPTERS_STALE: Final = "router.adapter.stale"
CITATIONS: Final = "router.citations"
ATTEMPT: Final = "router.attempt"
CONDENSED_BY: Final = "router.condensed_by"
CONDENSE_FAILURE: Final = "router.condense.failure"
OUTCOME: Final = "router.outcome"

WORKFLOW: Final = "query_router"
SEARCH: Final = "passage_search"
LOOK_UP: Final = "passage_look_up"
CONTENT_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
