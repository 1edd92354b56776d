"""Numbers of patients and of those who treat them."""

from redaction.detectors import checks
from redaction.detectors.rules import Rule


def _has_digits(text: str) -> bool:
    return len(checks.digits(text)) >= 4


_NHS = ("nhs", "national health", "patient")
_RECORD = (
    r"\b(?:mrn|medical record|patient (?:id|no|number|record)|chart(?: no| number)?|hospital (?:no|number)"
    r"|case (?:no|number))(?: ?(?:number|num|no|id|#))?\.?(?: is)?[ :#=\-]{0,3}"
    r"(?P<v>[a-z]{0,4}-?[0-9][0-9\-]{3,13}[0-9a-z]?)\b"
)
_MEMBER = (
    r"\b(?:member|subscriber|policy|insurance|group|beneficiary|medicaid|medicare)(?: ?(?:id|number|no|#)){1,2}\.?"
    r"(?: is)?[ :#=\-]{1,3}(?P<v>[a-z]{0,4}[0-9][0-9a-z\-]{4,16})\b"
)

RULES = (
    Rule("nhs_number", "HEALTH_ID", r"\b[0-9]{3}[ -][0-9]{3}[ -][0-9]{4}\b", 0.7, checks.whole(checks.nhs), _NHS),
    Rule("nhs_number_plain", "HEALTH_ID", r"\b[0-9]{10}\b", 0.8, checks.whole(checks.nhs), _NHS, True),
    Rule("medical_record", "MEDICAL_RECORD", _RECORD, 0.9, checks.whole(_has_digits), ignores_case=True),
    Rule("member_id", "HEALTH_ID", _MEMBER, 0.8, checks.whole(_has_digits), ignores_case=True),
    Rule("hl7_record", "MEDICAL_RECORD", r"\|(?P<v>[A-Z]{0,3}[0-9]{4,12})\^\^\^", 0.9),
    Rule("hl7_name", "PERSON",
         r"\|(?P<v>[A-Z][A-Za-z'\-]{1,30}\^[A-Z][A-Za-z'\-]{0,30}(?:\^[A-Z][A-Za-z'\-.]{0,30}){0,3})\^*\|", 0.8),
    Rule("hl7_birth", "DATE_OF_BIRTH", r"\|(?P<v>(?:19|20)[0-9]{6})\|[MFOUAN]?\|", 0.8),
    Rule("member_by_context", "HEALTH_ID", r"\b[A-Z]{1,4}-?[0-9]{6,12}(?:-[0-9]{2})?\b", 0.7, None,
         ("insurance", "member", "subscriber", "medicare", "medicaid", "health plan", "coverage", "insured", "aetna",
          "cigna", "humana", "kaiser", "blue cross", "bcbs", "krankenkasse"), True),
    Rule("insured_number", "HEALTH_ID", r"\b[0-9]{4}[ -]?[0-9]{3}[ -]?[0-9]{2,5}(?:[ -]?[0-9])?\b", 0.7, None,
         ("medicare", "medicaid", "health card", "health insurance", "ohip", "ramq", "carte santé", "health number",
          "krankenkasse", "versichertennummer", "mutuelle", "seguro médico", "tarjeta sanitaria", "ehic"), True),
    Rule("us_npi", "HEALTH_ID", r"\b[12][0-9]{9}\b", 0.8, checks.whole(checks.us_npi),
         ("npi", "provider", "physician", "prescriber"), True),
    Rule("us_npi_labelled", "HEALTH_ID", r"\bnpi(?: ?(?:number|no|#))?\.?(?: is)?[ :#=]{1,3}(?P<v>[0-9]{10})\b", 0.8,
         ignores_case=True),
    Rule("us_dea", "HEALTH_ID", r"\b[abfgmpr][a-z9][0-9]{7}\b", 0.9, checks.whole(checks.us_dea),
         ("dea", "prescriber", "controlled subst"), True, ignores_case=True),
    Rule("us_mbi", "HEALTH_ID",
         r"\b[1-9][ac-hj-kmnp-rt-y][0-9ac-hj-kmnp-rt-y][0-9]-?[ac-hj-kmnp-rt-y][0-9ac-hj-kmnp-rt-y][0-9]-?"
         r"[ac-hj-kmnp-rt-y]{2}[0-9]{2}\b", 0.9, None, ("medicare", "mbi"), ignores_case=True),
    Rule("germany_kvnr", "HEALTH_ID", r"\b[A-Z][0-9]{9}\b", 0.7, None, ("kvnr", "versicherten", "krankenkasse"), True),
)  # fmt: skip
