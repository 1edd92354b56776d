"""Keys, tokens and passwords: by the prefixes their issuers document, and by the words before them."""

import math
from collections import Counter

import re2

from redaction.detectors.rules import Rule
from redaction.wording import words

_PREFIXES: tuple[tuple[str, str, str], ...] = (
    ("aws_access_key", "API_KEY", r"\b(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z2-7]{16}\b"),
    ("google_api_key", "API_KEY", r"\bAIza[A-Za-z0-9_\-]{35}"),
    ("google_oauth", "TOKEN", r"\bya29\.[A-Za-z0-9_\-]{20,512}"),
    ("google_oauth_secret", "API_KEY", r"\bGOCSPX-[A-Za-z0-9_\-]{28}"),
    ("github", "TOKEN", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})"),
    ("gitlab", "TOKEN", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[A-Za-z0-9_\-]{20,64}"),
    ("slack", "TOKEN", r"\bxox[abeoprs]-(?:[0-9A-Za-z]+-){0,5}[A-Za-z0-9]{8,200}"),
    ("slack_app", "TOKEN", r"\bxapp-[0-9]-[A-Z0-9]+-[0-9]+-[a-z0-9]{20,100}"),
    ("slack_webhook", "TOKEN", r"\bhooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/+]{20,100}"),
    ("stripe", "API_KEY", r"\b(?:sk|rk|pk)_(?:live|test|prod)_[A-Za-z0-9]{10,120}|\bwhsec_[A-Za-z0-9+/=]{24,64}"),
    ("openai", "API_KEY", r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_\-]{20,200}"),
    ("anthropic", "API_KEY", r"\bsk-ant-[a-z0-9]{2,10}-[A-Za-z0-9_\-]{20,200}"),
    ("huggingface", "TOKEN", r"\b(?:hf|api_org)_[A-Za-z0-9]{30,40}\b"),
    ("npm", "TOKEN", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("pypi", "TOKEN", r"\bpypi-AgE[A-Za-z0-9_\-]{40,300}"),
    ("sendgrid", "API_KEY", r"\bSG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{32,64}"),
    ("twilio", "API_KEY", r"\b(?:SK|AC)[0-9a-f]{32}\b"),
    ("mailgun", "API_KEY", r"\bkey-[0-9a-f]{32}\b"),
    ("mailchimp", "API_KEY", r"\b[0-9a-f]{32}-us[0-9]{1,2}\b"),
    ("digitalocean", "TOKEN", r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    ("shopify", "TOKEN", r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b"),
    ("square", "TOKEN", r"\b(?:sq0(?:atp|csp|idp)-[A-Za-z0-9_\-]{22,43}|EAAA[A-Za-z0-9_\-]{60})"),
    ("telegram", "TOKEN", r"(?:\b|bot)(?P<v>[0-9]{8,10}:AA[A-Za-z0-9_\-]{32,33})\b"),
    ("heroku", "TOKEN", r"\bHRKU-[A-Za-z0-9_\-]{36,80}"),
    (
        "bitcoin_key",
        "PRIVATE_KEY",
        r"\b(?:[KL][1-9A-HJ-NP-Za-km-z]{51}|5[1-9A-HJ-NP-Za-km-z]{50}|[xyztuv]prv[1-9A-HJ-NP-Za-km-z]{100,112})\b",
    ),
    ("discord", "TOKEN", r"\b[MNO][A-Za-z0-9_\-]{23,27}\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,40}\b"),
    ("databricks", "TOKEN", r"\bdapi[a-f0-9]{32}(?:-[0-9])?\b"),
    ("vault", "TOKEN", r"\b(?:hv[sbr]\.[A-Za-z0-9_\-]{20,300}|s\.[A-Za-z0-9]{24})\b"),
    ("terraform", "TOKEN", r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_\-]{60,70}"),
    ("linear", "API_KEY", r"\blin_(?:api|oauth)_[A-Za-z0-9]{32,64}\b"),
    ("notion", "TOKEN", r"\b(?:secret_[A-Za-z0-9]{43}|ntn_[A-Za-z0-9]{40,50})\b"),
    ("airtable", "TOKEN", r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}\b"),
    ("grafana", "TOKEN", r"\b(?:glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/]{32,400})"),
    ("new_relic", "API_KEY", r"\bNRAK-[A-Z0-9]{27}\b"),
    ("postman", "API_KEY", r"\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}\b"),
    ("doppler", "TOKEN", r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9\-_]{2,35}\.)?[A-Za-z0-9]{40,44}\b"),
    ("docker_hub", "TOKEN", r"\bdckr_(?:pat|oat)_[A-Za-z0-9_\-]{20,64}"),
    ("planetscale", "TOKEN", r"\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.\-]{24,64}"),
    ("supabase", "TOKEN", r"\bsb[ps]_[a-z0-9]{40}\b"),
    ("readme", "TOKEN", r"\brdme_[A-Za-z0-9]{40,100}"),
    ("sentry", "TOKEN", r"\bsntry[su]_[A-Za-z0-9+/=_]{40,200}"),
    ("pulumi", "TOKEN", r"\bpul-[a-f0-9]{40}\b"),
    ("lob", "API_KEY", r"\b(?:live|test)_(?:pub_)?[a-f0-9]{31,35}\b"),
    ("figma", "TOKEN", r"\bfig[dou]_[A-Za-z0-9_\-]{30,60}"),
    ("sonar", "TOKEN", r"\bsq[aup]_[a-f0-9]{40}\b"),
    ("alibaba", "API_KEY", r"\bLTAI[A-Za-z0-9]{12,26}\b"),
    ("dynatrace", "TOKEN", r"\bdt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    ("hubspot", "TOKEN", r"\bpat-(?:na|eu)[0-9]-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ("discord_webhook", "TOKEN", r"\bdiscord(?:app)?\.com/api/webhooks/[0-9]{6,20}/(?P<v>[A-Za-z0-9_\-]{30,100})"),
    ("teams_webhook", "TOKEN", r"\bwebhook\.office\.com/webhookb2/(?P<v>[A-Za-z0-9@\-/]{40,200})"),
    ("rubygems", "TOKEN", r"\brubygems_[a-f0-9]{48}\b"),
    ("atlassian", "TOKEN", r"\bAT(?:ATT|CTT)3x[A-Za-z0-9_\-=]{20,220}"),
    ("azure_ad", "API_KEY", r"(?:^|[^A-Za-z0-9_~.])(?P<v>[A-Za-z0-9_~.]{3}[78]Q~[A-Za-z0-9_~.\-]{31,34})"),
    ("dropbox", "TOKEN", r"\bsl\.(?:u\.)?[A-Za-z0-9_\-]{60,1000}"),
    (
        "by_prefix",
        "API_KEY",
        r"\b(?:gsk|r8|xai|pplx|nvapi|tskey|sgp|tfp|shippo|duffel|fo1|fio)[_\-][A-Za-z0-9_\-]{28,200}",
    ),
    ("artifactory", "TOKEN", r"\bAKC[a-zA-Z0-9]{30,120}"),
    ("easypost", "API_KEY", r"\bEZ[AT]K[A-Za-z0-9]{54}\b"),
    ("age_key", "PRIVATE_KEY", r"\bAGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}\b"),
    ("nats_seed", "PRIVATE_KEY", r"\bS[UAONCPXV][A-Z2-7]{54,56}\b"),
    ("azure_storage", "API_KEY", r"AccountKey=(?P<v>[A-Za-z0-9+/]{80,90}={0,2})"),
    (
        "signed_url",
        "TOKEN",
        r"(?i)[?&;](?:sig|signature|x-(?:amz|goog|oss|cos)-(?:signature|security-token)|hmac|sign|policy|access_?token"
        r"|auth_?token|api_?key|token|magic(?:_?link)?|invit(?:e|ation)(?:_?token)?|reset(?:_?token)?|confirm"
        r"(?:ation)?(?:_?token)?"
        r"|verif(?:y|ication)(?:_?token)?|activation(?:_?(?:code|key|token))?|ticket|otp|t|k)="
        r"(?P<v>[A-Za-z0-9%+/_\-.~]{16,1000}={0,2})",
    ),
    (
        "hooked",
        "TOKEN",
        r"(?i)://[^\s/\"'<>]{3,100}/(?:[a-z0-9_\-]{1,40}/){0,3}(?:hooks?|webhooks?(?:-test)?|catch"
        r"|trigger/[a-z0-9_\-]{1,40}/with/key)/"
        r"(?P<v>[A-Za-z0-9/_\-]{12,200})",
    ),
    (
        "linked",
        "TOKEN",
        r"(?i)/(?:reset|verify|confirm|invites?|invitations?|activate|activation|magic|magic-?link|unsubscribe"
        r"|join|password)"
        r"[a-z_\-]{0,24}(?:/[a-z_\-]{1,16}){0,2}/(?P<v>[A-Za-z0-9_\-]{24,512})",
    ),
    (
        "by_words",
        "TOKEN",
        r"\b(?:[a-z][a-z0-9]{0,11}[_\-]){0,2}(?:tok|tkn|token|key|apikey|api|secret|pat|auth|sk|rk|live|oauth"
        r"|priv|cred|pw)"
        r"(?:[_\-][a-z0-9]{1,12}){0,2}[_\-](?P<w>[A-Za-z0-9]{20,200})\b",
    ),
    ("jwt", "TOKEN", r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{4,}(?:\.[A-Za-z0-9_\-]*){0,3}"),
)
"""Name, entity and form; each as its issuer documents it, or as the secret-scanning tables of its host list it."""

_WORDS = (
    r"(?:api[ _\-]?key|apikey|access[ _\-]?key|secret[ _\-]?key|secret|client[ _\-]?secret|auth[ _\-]?token"
    r"|access[ _\-]?token|refresh[ _\-]?token|bearer|token|private[ _\-]?key|credentials?|signing[ _\-]?key"
    r"|encryption[ _\-]?key|webhook[ _\-]?secret|session[ _\-]?id|pat|key)"
)


def entropy(text: str) -> float:
    """Shannon's entropy in bits a character."""
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())


def is_random(text: str) -> bool:
    """Whether a token looks drawn, not written: letters and digits mixed, at least 3 bits a character, no path.

    A UUID, and the hash of a commit or a file, are drawn too; a word near them decides what they are.
    """
    digits = sum(char.isdigit() for char in text)
    letters = sum(char.isalpha() for char in text)
    is_mixed = digits >= 2 or (digits == 1 and len(text) >= 30 and not text.islower() and not text.isupper())
    return is_mixed and letters >= 2 and text.count("/") <= 2 and text.count(".") <= 2 and entropy(text) >= 3


def _drawn(text: str) -> int:
    return len(text) if is_random(text) and not _is_uuid(text) else 0


def _cased(text: str) -> int:
    """Drawn from both cases and digits."""
    return _drawn(text) if text.lower() != text and text.upper() != text else 0


def _clearly_drawn(text: str) -> int:
    """Drawn even to one who only knows that a word about secrets is somewhere near: no"""
    """hash, no path, no name of a thing."""
    plain = text.strip("=.-_")
    digits = sum(map(str.isdigit, plain))
    is_hash = len(plain) in (32, 40, 56, 64, 96, 128) and not plain.strip("0123456789abcdefABCDEF")
    is_written = max(map(len, plain.replace("_", "-").replace(".", "-").replace("/", "-").split("-"))) < 12
    is_clear = digits >= 3 and not is_hash and not is_written and entropy(plain) >= 3.3
    return len(text.rstrip(".-_")) if is_clear and _drawn(plain) else 0


def _strongly_mixed(text: str) -> int:
    """A chosen key: digits, and letters of both cases."""
    return _strong(text) if text.lower() != text and text.upper() != text else 0


def _is_uuid(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(char in "0123456789abcdefABCDEF-" for char in text)


def chosen(text: str) -> int:
    """How much of a text is a password: anything that is not a word about passwords, a variable or a type."""
    if "&" in text and "=" in text[text.index("&") :]:  # the next field of a form
        text = text[: text.index("&")]
    given = text.strip("\"'`,;")
    plain = given.lower()
    is_variable = given.startswith("$") and given[1:].replace("_", "").isalnum() and given.isupper()
    is_code = plain in _NO_VALUES or is_variable or plain.startswith(_CODE) or (given[0:1] + given[-1:]) in ("[]", "<>")
    is_prose = plain.isalpha() and len(plain) < 12 and plain in _PROSE
    no_value = is_code or is_prose or len(plain) < 4 or set(plain) <= set("*x.") or _is_call(plain)
    return 0 if no_value else len(text)


def _is_call(plain: str) -> bool:
    """Whether it is a call in a program: `input(`, `get_secret(name)`."""
    name, opened, rest = plain.partition("(")
    return bool(opened) and name.replace("_", "").replace(".", "").isalpha() and not any(map(str.isdigit, rest))


def _flagged(text: str) -> int:
    """A value behind `-p`, which other programs use for ports and paths."""
    is_other = text[0] in "/.{$" or ":" in text or "=" in text or text.isdigit()
    return 0 if is_other else chosen(text)


def _strong(text: str) -> int:
    """A word that nobody writes but as a password: letters and digits, and a mark or both cases."""
    plain = text.rstrip(".,;:!?)")
    has_digit = any(map(str.isdigit, plain)) and any(map(str.isalpha, plain))
    is_mixed = plain.lower() != plain and plain.upper() != plain
    has_mark = any(not char.isalnum() for char in text.rstrip(".,;:)"))
    is_strong = has_digit and (is_mixed or has_mark) and len(plain) >= 6 and "://" not in plain
    return chosen(plain) and len(text.rstrip(".,;:)")) if is_strong else 0


_WRITTEN = 0.7
_DRAWN_PART = 7
_VOWELS = frozenset("aeiouy")
_CAMEL = re2.compile(r"[A-Z][a-z]{2,}|^[a-z]{3,}")
_CODE = ("${", "$(", "{{", "%(", "os.", "self.", "process.", "env.", "env[", "getenv")
_NO_VALUES = frozenset({"str", "none", "null", "string", "str,", "str)", "text"})
_PROSE = words(
    """
    reset policy manager field required incorrect wrong expired protected change changed hash prompt for must
    should will cannot from with that this your have been here true false string optional input page link
    authentication forgot forgotten rules strength length rotation hint
    """
)

_SECRET_WORDS = (
    "secret", "credential", "api key", "api_key", "apikey", "api-key", "access key", "access_key", "accesskey",
    "auth token", "auth_token", "authtoken", "access token", "access_token", "bearer", "password", "passwd",
    "private key", "private_key", "token is", "token:", "token=", "signing key", "license key", "app key", "app_key",
)  # fmt: skip
"""Near one of these, whatever was clearly drawn is taken for a secret."""


def _drawn_behind_words(text: str) -> int:
    """What stands behind the prefix is drawn from both cases and digits."""
    tail = text.replace("-", "_").rsplit("_", 1)[-1]
    return len(text) if sum(map(str.isdigit, tail)) >= 2 and _cased(tail) and not is_camel_case(tail) else 0


def is_camel_case(text: str) -> bool:
    """Whether most of it are words: `returnsTokenForUserId42`; little of what was drawn looks so."""
    found = [match.group() for match in _CAMEL.finditer(text) if not _VOWELS.isdisjoint(match.group().lower())]
    return len(found) > 2 and sum(map(len, found)) >= _WRITTEN * len(text)


def _long_signature(text: str) -> int:
    """A signature or a token of a query, and no number, word or path."""
    return len(text) if len(text) >= 20 and any(map(str.isdigit, text)) and is_random(text[:64]) else 0


def _mixed(text: str) -> int:
    """Letters, and digits or marks among them: no word."""
    plain = text.rstrip(".,;:!?)")
    is_mixed = any(map(str.isalpha, plain)) and any(map(str.isdigit, plain)) and "://" not in plain
    return chosen(plain) and len(plain) if is_mixed else 0


def _dense(text: str) -> int:
    """Letters of both cases, digits and many different marks in no order: bytes in Base85 (RFC 1924)."""
    marks = [char for char in text if not char.isalnum()]
    is_code = "://" in text or "()" in text or "::" in text or "=>" in text or "&&" in text
    return len(text) if _cased(text) and len(set(marks)) > 4 and len(marks) < len(text) / 2 and not is_code else 0


def _hooked(text: str) -> int:
    """The end of the address of a webhook, in which a part is drawn: digits and letters in one."""
    parts = text.replace("-", "/").replace("_", "/").split("/")
    mixed = [part for part in parts if any(map(str.isdigit, part)) and any(map(str.isalpha, part)) and len(part) > 3]
    return len(text) if sum(map(len, mixed)) >= _DRAWN_PART else 0


def _very_strong(text: str) -> int:
    """Letters of both cases, digits and a mark: what only passwords look like."""
    plain = text.rstrip(".,;:!?)")
    marks = set(text.rstrip(".,;:)")) & set("!#$%&*+@^?~_-.")
    kinds = (any(map(str.islower, plain)), any(map(str.isupper, plain)), any(map(str.isdigit, plain)))
    is_address = "@" in plain and "." in plain.rpartition("@")[2]
    is_named = plain.replace("_", "").replace("-", "").replace(".", "").isalnum() and not _cased(plain)
    return chosen(text) and len(text.rstrip(".,;:)")) if all(kinds) and marks and not (is_address or is_named) else 0


_CHECKED = {
    "by_words": _drawn_behind_words,
    "signed_url": _long_signature,
    "bitcoin_key": _cased,
    "linked": _cased,
    "hooked": _hooked,
}
_PASSWORDS = (
    r"(?:password|passwd|passphrase|passcode|pwd|\bpw|kennwort|passwort|mot de passe|contrase[\xf1n]a|senha|parola"
    r"|haslo|heslo|wachtwoord|l\xf6senord|adgangskode|kodeord|passord|salasana|sifre|jelsz[\xf3o]|lozinka|geslo"
    r"|parool|slaptazodis|mat khau|parole"
    r"|\bclave(?: de (?:acceso|red|seguridad)| wifi)?|kata sandi|palavra-passe|palavra passe|\bmdp|pass[ \-]phrase"
    r"|parola d'ordine|(?:wlan|wi-?fi|netzwerk)[ \-](?:schl\xfcssel|key|code)|(?:cl\xe9|chiave) (?:wi-?fi|wpa"
    r"|r\xe9seau))"
)
"""Words for passwords in the languages of redaction/tongues.py."""
_ENDING = r"(?:et|en|er|em|om|niz|nuz|n\xfcz|miz|m\xfcz|si|ni|mi|ja|ja on|ul|a|u|e|y)?"
"""How words for passwords end in languages that decline them, or write `the` and `your` on to them."""
_PASS = r"(?:\bpass|_pass|(?:db|my|user|mail|ftp|root|admin)pass)"
"""A word for a password that is a verb as well: `tests pass on Python3.12`, `bypass on`."""
_PASSWORD_WORDS = (
    "password", "passwort", "kennwort", "passphrase", "credential", "creds", "login", "mot de passe", "contraseña",
    "senha", "wachtwoord", "hasło", "heslo", "lösenord", "adgangskode", "pwd", "passwd", "sudo", "securestring",
    "assword",
    "пароль", "密码", "パスワード", "비밀번호", "identified by", "/user:",
)  # fmt: skip
_QUOTE = r"[\"'`]?"
RULES = (
    *(Rule(name, entity, pattern, 1.0, _CHECKED.get(name)) for name, entity, pattern in _PREFIXES),
    Rule("private_key", "PRIVATE_KEY",
         r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-{1,4}[^-])*"
         r"(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?",
         1.0),
    Rule("connection_string", "CONNECTION_STRING",
         r"\b[a-z][a-z0-9+.\-]{1,30}://[^\s:/@\"'<>?#]{0,100}:[^\s/@\"'<>]{1,200}@[^\s\"'<>,;)]{1,300}", 1.0,
         ignores_case=True),
    Rule("connection_password", "CONNECTION_STRING", r"\b(?:password|pwd) ?= ?(?P<v>[^\s;\"']{3,100});", 0.9, None,
         ("server", "data source", "host", "user id", "uid", "database", "initial catalog"), True, ignores_case=True),
    Rule("authorization", "TOKEN", r"\b(?:basic|bearer|negotiate|digest|token|apikey|ssws|genie\x6bey|splunk"
         r"|key) (?:token=)?(?P<v>[A-Za-z0-9+/=_\-.~]{8,})",
         0.9, lambda text: len(text) if any(char.isdigit() for char in text) or text.endswith("=") else 0,
         ("authorization", "auth", "header", "bearer"), True, ignores_case=True),
    Rule("password", "PASSWORD",
         r"(?:" + _PASSWORDS + _ENDING + _QUOTE + r"(?: ?(?:=|:|=>|:=) ?| (?:is|was|es|ist|est|c'est|lautet"
             r"|\xe8|\xe9|\xe4r|er|to"
         r"|je|on|=):? )|" + _PASS + _QUOTE + r"(?: ?(?:=|:|=>|:=) ?| (?:is|was|es|ist|est|c'est|=):? ))"
         + _QUOTE + r"(?P<v>[^\s\"'`,;<>]{4,128})", 0.8, chosen,
         ignores_case=True),
    Rule("password_strong", "PASSWORD", r"(?:^|[\s\"'(:/=>])(?P<v>[A-Za-z0-9!#$%&*+@^?~_.\-]{8,64})", 0.7, _very_strong,
         _PASSWORD_WORDS, True),
    Rule("sql_password", "PASSWORD",
         r"\b(?:(?:login|superuser|createdb|valid) password|identified(?: with [a-z0-9_]{1,40})? by|(?:with"
         r"|set) (?:encrypted )?password(?: for [^=\n]{1,80})?(?: ?=)?"
         r"|password\()(?: password)? ?[\"'](?P<v>[^\"'\n]{3,128})[\"']", 0.9, chosen, ignores_case=True),
    Rule("piped_password", "PASSWORD", r"\becho (?:-n )?[\"']?(?P<v>[^\s\"'|]{4,128})[\"']? ?\| ?sudo -S", 0.9, chosen),
    Rule("secure_string", "PASSWORD", r"ConvertTo-SecureString (?:-String )?[\"'](?P<v>[^\"'\n]{3,128})[\"']", 0.9,
        chosen),
    Rule("wifi_code", "PASSWORD", r"\bWIFI:[^\n]{0,120}?;P:(?P<v>(?:[^;\\\n]|\\.){4,64});", 0.9),
    Rule("pgpass", "PASSWORD",
         r"(?m)^[A-Za-z0-9.*\-]{1,120}:(?:[0-9]{2,5}|\*):[A-Za-z0-9_*\-]{1,64}:[A-Za-z0-9_*.\-]{1,64}:"
         r"(?P<v>[^\s:]{4,128})$",
         0.9),
    Rule("realm_digest", "PASSWORD", r"(?m)^[A-Za-z0-9._@\-]{1,64}:[^:\n]{1,60}:(?P<v>[0-9a-f]{32})$", 0.9),
    Rule("seed_phrase", "PRIVATE_KEY",
         r"\b(?:(?:(?:seed|recovery|backup|secret|wallet)[ _\-]){1,3}(?:phrase|words|mnemonic)"
         r"|mnemonic(?: (?:phrase|words|seed))*|seed\"?'? ?[:=])\"?'?(?: is| are)?[ :=\"'\n]{1,4}"
         r"(?P<v>(?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8})\b", 0.9, ignores_case=True),
    Rule("one_time_seed", "API_KEY",
         r"\b(?i:2fa|mfa|totp|hotp|otp|authenticator|otpauth)[^\n]{0,60}?[ :=\"'](?P<v>[A-Z2-7]{16,64})\b", 0.9),
    Rule("oracle_password", "CONNECTION_STRING", r"\bjdbc:oracle:[a-z]{2,5}:[^\s/:]{1,64}/(?P<v>[^\s@\"']{1,128})@",
        0.9),
    Rule("net_use", "PASSWORD", r"(?i)/user:[^\s]{1,80} (?P<v>[^\s/]{4,128})", 0.8, chosen),
    Rule("auth_of_registry", "TOKEN", r"\"?_?auth\"? ?[:=] ?\"?(?P<v>[A-Za-z0-9+/]{16,512}={0,2})", 0.9, _cased),
    Rule("password_prose", "PASSWORD", r"\b(?:password|passphrase|passcode|pwd|pass|pw|login|credentials?|creds"
    r"|passwort|kennwort|senha|haslo|heslo"
         r"|wachtwoord|contrase[\xf1n]a|mot de passe) "
         r"[\"'`]?(?P<v>[^\s\"'`<>]{6,64})", 0.7,
         _strong, ignores_case=True),
    Rule("password_of", "PASSWORD",
         r"(?:(?:" + _PASSWORDS + r"|credentials?|\bsecret)(?: [a-z'\-]{1,20}){1,6} "
         r"(?:is|was|to|as|=|:|ist|est|c'est|es|este|\xe8|\xe9|\xe4r|er|je|to)"
         r"|\bpass(?: [a-z'\-]{1,20}){1,6} (?:is|was|=|:)) [\"'`]?"
         r"(?P<v>[^\s\"'`<>]{6,64})", 0.7, _strong, ignores_case=True),
    Rule("password_for", "PASSWORD",
         r"(?:" + _PASSWORDS + r"|\bpass)" + _ENDING + r"(?: [a-z'.\-\xdf-\xff]{1,20}){1,5}(?:: ?| -> | \x3d> )[\"'`]?"
             r"(?P<v>[^\s\"'`<>,;]{6,64})",
         0.7, _mixed, ignores_case=True),
    Rule("password_declined", "PASSWORD",
         r"\b(?:sifre|parola|salasana|jelsz|losenord|l\xf6senord)[a-z\xdf-\xff]{1,6}:? [\"'`]?"
         r"(?P<v>[^\s\"'`<>,;]{6,64})", 0.7, _mixed,
         ignores_case=True),
    Rule("login_and_password", "PASSWORD",
         r"\b(?:creds?|credentials?|zugangsdaten|identifiants?|credenciales|credenziali|login)(?: (?:are|is))?"
         r"(?::| -)? ?"
         r"[A-Za-z0-9._@\-]{2,40}(?: ?/ ?| : )(?P<v>[^\s\"'<>,;]{6,64})", 0.7, _mixed, ignores_case=True),
    Rule("known_login", "PASSWORD",
         r"(?:^|[ :(])(?:root|admin|administrator|sa|postgres|oracle|pi|guest|gast|user|test)(?: ?/ ?)"
         r"(?P<v>[^\s\"'<>,;/]{6,64})(?:[ ,;.)]|$)",
         0.7, _mixed),
    Rule("base85", "API_KEY",
         r"(?i)\b(?:secret|key|token|passw(?:or)?d|base85|ascii85|a85|z85)[a-z_\-]{0,16}"
         r"(?: ?\([a-z0-9 ]{1,16}\))? ?[:=] ?[\"'`]?"
         r"(?P<v>[!#-&(-+\--~]{25,512})", 0.8, _dense),
    Rule("user_at_host", "PASSWORD",
         r"\b[a-z_][a-z0-9_\-]{1,31}:(?P<v>[^\s:@/\"']{6,64})@(?:[a-z0-9\-]{1,63}\.){1,6}[a-z0-9]{1,24}\b", 0.8,
         _strong),
    Rule("token_at_host", "TOKEN", r"://(?P<v>[A-Za-z0-9_\-]{16,200}):?@[a-z0-9.\-]{3,}", 0.9),
    Rule("auth_pair", "PASSWORD", r"\bauth ?= ?\([\"'][^\"']{1,64}[\"'], ?[\"'](?P<v>[^\"']{3,64})[\"']\)", 0.8,
         chosen),
    Rule("one_time_code", "PASSWORD", r"\bcode(?: is|:)? (?P<v>[0-9]{4,8})\b", 0.7, None,
         ("otp", "one-time", "one time", "verification", "2fa", "mfa", "passcode", "login code", "security code"), True,
         ignores_case=True),
    Rule("one_time_password", "PASSWORD",
         r"\b(?:(?:otp|tan)(?: is:?|:| ?=) ?|(?:one[ \-]time (?:password|passcode|pin|code)|verification code"
         r"|security code|(?:2|m)fa code)(?: is|:|=)? )(?P<v>[0-9]{4,8})\b", 0.8, ignores_case=True),
    Rule("netrc", "PASSWORD", r"\blogin [^\s]{1,64}\s{1,4}password (?P<v>[^\s\"'`]{3,128})", 0.9, chosen),
    Rule("login_flag", "PASSWORD",
         r"\b(?:docker|podman|helm|oc|az|mysql|mysqldump|psql|mongosh?|redis-cli|ftp|svn"
         r"|smbclient|ldapsearch|sshpass|vault)\b"
         r"[^\n|;]{0,120}? (?:-p|-a|-w|--pass|--password|--secret)[ "
         r"=]?[\"']?(?P<v>[^\s\"'`\-][^\s\"'`]{3,127})", 0.8, _flagged),
    Rule("password_hash", "PASSWORD", r"\$(?:apr1|2[abxy]|1|5|6|y|argon2(?:id|i|d)|scrypt|pbkdf2-sha(?:1|256"
                                      r"|512))\$[./A-Za-z0-9$=,+]{20,200}",
         0.9),
    Rule("key_end", "PRIVATE_KEY", r"(?P<v>(?:[A-Za-z0-9+/=]{8,}\s+)+-----END [A-Z "
                                   r"]{0,30}PRIVATE KEY(?: BLOCK)?-----)", 1.0),
    Rule("aws_secret", "API_KEY", r"(?:^|[^A-Za-z0-9/+=])(?P<v>[A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)", 0.8, _cased,
         ("akia", "asia", "aws", "amazon", "secret"), True),
    Rule("aws_pair", "API_KEY",
         r"\b(?:AKIA|ASIA)[A-Z2-7]{16}[^A-Za-z0-9/+](?:[^\n]{0,60}?[^A-Za-z0-9/+=])?(?P<v>[A-Za-z0-"
         r"9/+]{40})(?:[^A-Za-z0-9/+=]|$)", 0.9,
         _cased),
    Rule("key_chosen", "API_KEY", r"\bkey\"?'? ?[:=] "
                                  r"?[\"'`]?(?P<v>[^\s\"'`,;<>&=]{10,64})", 0.7, _strongly_mixed, ignores_case=True),
    Rule("drawn_by_context", "API_KEY",
         r"(?:^|[^A-Za-z0-9+/_\-.~])(?P<v>[A-Za-z0-9+/_\-.~]{20,512}={0,2})", 0.7, _clearly_drawn, _SECRET_WORDS, True),
    Rule("passed_on", "PASSWORD",
         r"\b(?:wifi|wlan|wi-fi|vpn|ssid)[^\n]{0,60}? (?:key|pass|code|psk)[: ]{1,2}(?P<v>[^\s\"'`,;<>]{6,63})",
         0.8, _strong,
         ignores_case=True),
    Rule("user_flag", "PASSWORD", r"(?:\s-u|--user)[ =]?[\"']?[A-Za-z0-9._@\-]"
                                  r"{1,64}:(?P<v>[^\s\"']{3,128})", 0.9, chosen),
    Rule("password_flag", "PASSWORD", r"(?:sshpass -p ?|--password[= ]|mysql .{0,40}-p)" + _QUOTE
         + r"(?P<v>[^\s\"'`]{4,128})", 0.9, chosen),
    Rule("near_key_word", "API_KEY",
         r"\b[a-z0-9_\-]{0,30}" + _WORDS + r"[a-z0-9_]{0,12}" + _QUOTE
         + r"(?:\s{0,2}(?:=|:|=>|:=)\s{0,2}| is:? | )" + _QUOTE
         + r"(?P<v>[a-z0-9+/=_\-.~!@#$%^*]{16,512})", 0.8, _drawn, ignores_case=True),
)  # fmt: skip
