"""Codes that open something: one-time codes, TANs, PINs, codes of doors, backup codes, recovery phrases.

A short number is a code by the words beside it alone; what they are called is a table, in the languages of
redaction/tongues.py. Codes in other scripts are labels of redaction/scripts.py.
"""

from collections.abc import Iterator

import re2

from redaction.detectors.rules import latin, options
from redaction.findings import Finding
from redaction.wording import words

SCORE = 0.8
_ONE_TIME = (
    r"(?:otp|has[l]o jednorazowe|jednorazov\xe9 heslo|egyszer haszn\xe1latos k\xf3d|engangskode|itan"
    r"(?: [0-9]{1,3})?|(?:your|ihr|dein|votre|ton|tu|su|il tuo|seu|uw|jouw|tw\xf3j|va[s\xb9]|v\xe1[s\xb9]|vas"
    r"|din|ditt|sinun|the \xf6n|az \xf6n|teie|j\xfas\xf8) (?:code|kod|k\xf3d|kode|koodi|codice|c\xf3digo"
    r"|codigo)|this code|(?:el|le|il|the|der) (?:c\xf3digo|code|codice) (?:es|est|\xe8|is|lautet)|cod(?:ul)? "
    r"(?:t\xe3u|tau|dvs)|kods|(?:code|kod|k\xf3d|kode|codice|c\xf3digo) (?:for"
    r"|f\xfcr|pour|para|per|voor|til|f\xf6r|do|pro|za) (?:die |the |la |l')?(?:login|log-?in|sign-?in|anmeldung"
    r"|connexion|inlog\w{0,6}|acc\w{2,4}|mitid|bankid|logowania|p\xf8ihl\w{1,8})|one[ \-]?time (?:code|password"
    r"|passcode|pin)|passcode|m-?tan|sms-?tan|chip-?tan|photo-?tan|push-?tan|tan"
    r"|(?:verification|security|confirmation|authentication|authorisation|authorization|login|log-?in|sign-?in"
    r"|access|activation"
    r"|unlock|2fa|mfa|two[ \-]factor|auth|sms|pairing|temporary) (?:code|pin)|code (?:otp|sms)"
    r"|best\xe4tigungs-?code|verifi(?:zierungs|kations)-?code|sicherheits-?code|einmal-?(?:code|passwort"
    r"|kennwort|pin)|freischalt-?code"
    r"|aktivierungs-?code|anmelde-?code|login-?code|zugangs-?code"
    r"|code de (?:v\xe9rification|verification|s\xe9curit\xe9|confirmation|validation|connexion"
    r"|d\xe9verrouillage)|code (?:\xe0|a) usage unique"
    r"|c\xf3digo de (?:un solo uso|verifica[c\xe7](?:i\xf3n|\xe3o)|seguridad|seguran\xe7a|confirma[c\xe7]"
    r"(?:i\xf3n|\xe3o)|acc?es+o|activaci\xf3n|ativa\xe7\xe3o|uso \xfanico)"
    r"|codigo de (?:verificacion|verificacao|seguridad|seguranca|confirmacion|acceso|acesso)"
    r"|codice (?:di (?:verifica|sicurezza|conferma|accesso|attivazione)|otp|usa e getta|temporaneo|monouso)"
    r"|verificatiecode|verificatie-code|beveiligingscode|bevestigingscode|inlogcode|toegangscode|eenmalige code"
    r"|kod(?:em|u)? (?:weryfikacyjny|autoryzacyjny|potwierdzajacy|sms|jednorazowy|aktywacyjny|dost\xeapu"
    r"|dostepu|za potvrdu|za provjeru)"
    r"|(?:ov\xeerovac\xed|overovac\xed|overovaci|potvrzovac\xed|potvrdzovac\xed|autorizacn\xed|autorizacny"
    r"|bezpecnostn\xed|bezpecnostny|jednor\xe1zov\xfd|jednorazovy) k\xf3d"
    r"|(?:verifierings|eng\xe5ngs|s\xe4kerhets|bekr\xe4ftelse|inloggnings|aktiverings)kod|(?:bekreftelses"
    r"|engangs|sikkerhets|sikkerheds|bekr\xe6ftelses|verifiserings|verifikations)kode"
    r"|(?:vahvistus|kertak\xe4ytt\xf6|turva|varmennus|kirjautumis)koodi|(?:dogrulama|onay|g\xfcvenlik"
    r"|aktivasyon|tek kullanimlik) (?:kod|sifre)"
    r"|cod(?:ul)? (?:de|otp) ?(?:verificare|securitate|confirmare|acces|activare)?|(?:ellen\xf6rz\xf6|ellenorzo"
    r"|megeros\xedto|meger\xf6s\xedt\xf6|biztons\xe1gi|egyszeri) k\xf3d"
    r"|(?:kontrolni|potvrditvena|varnostna|sigurnosni|verifikacijski|enkratna) kod|kinnituskood|turvakood"
    r"|patvirtinimo kod|apstiprinajuma kod"
    r"|kode (?:verifikasi|otp|keamanan)|ma x\xe1c (?:minh|thuc|nhan))"
)
_PIN = (
    r"(?:pin(?:[ \-]?(?:code|kod|kode|koodi|number|nummer))?|puk|geheimzahl|(?:safe|lock|vault|locker"
    r"|padlock) combination|combination|code confidentiel|voicemail pin|code pin|(?:door|gate|alarm|entry|lock|safe"
    r"|garage|keypad|building|lockbox)[ \-]code"
    r"|(?:t\xfcr|tor|alarm|haus|safe|schlie\xdffach)-?code|code (?:d'entr\xe9e|d'acc\xe8s|de la porte"
    r"|de l'alarme|du portail|porte)"
    r"|c\xf3digo de la (?:puerta|alarma)|codice (?:del portone|della porta|allarme)|portkod|d\xf8rkode|deurcode"
    r"|ovikoodi|kod do (?:drzwi|bramy|domofonu))"
)
_JOIN = r"(?:[ :=\-*\"'>(\xa0?]{1,3}(?:[a-z'\xdf-\xff]{1,14}(?:[ .]|:)?)?){0,5}[ :=\-*\"'>(]{0,3}"
_DIGITS = r"(?:[A-Z]{1,2}-)?(?:[0-9]{3}[ \-][0-9]{3}|[0-9]{4,8})"
_SAID = re2.compile(
    (
        rf"(?i)\b(?:{_ONE_TIME}[a-z\xdf-\xff]{{0,7}}(?P<gap>{_JOIN})|{_PIN}(?P<short>(?: (?:for|to|of|zum"
        rf"|f\xfcr|du|de) (?:the |your |my )?[a-z]{{2,16}}(?: [a-z]{{2,16}})?)?(?: (?:is|ist|lautet|est"
        rf"|es|\xe8|\xe9|to|je|\xe4r|er|on|is:))?[ :=#*]{{1,3}}))"
        rf"(?P<v>{_DIGITS})\b"
    ).encode("latin-1"),
    options(),
)
_BEFORE = re2.compile(
    (
        rf"(?i)(?:^|[^0-9A-Za-z.,#/\-])(?P<v>{_DIGITS}) (?:is|ist|est|es|\xe8|\xe9|je|to|\xe4r|er|on) (?:your"
        rf"|ihr|dein|votre|ton|tu|su|il tuo"
        r"|o seu|seu|uw|jouw|je|tw\xf3j|twoj|vas|din|ditt|sinun|the)\b[^\n.;]{0,40}?\b(?:[a-z\xdf-\xff]{0,14}"
        r"(?:code|kod|kode|koodi|codice|c\xf3digo|pin|otp|tan|passcode))\b"
    ).encode("latin-1"),
    options(),
)
_USED = re2.compile(
    (
        rf"(?i)\b(?:use|enter|type|input|submit|provide|gib|geben sie|saisissez|entrez|introduce|introduzca"
        rf"|inserisci|voer)(?: in)?"
        rf"(?: the| den| le| el| il)?(?: following)?(?: (?:code|pin|otp|c\xf3digo|codice))?:? (?P<v>{_DIGITS})\b"
        r"(?: in)? (?:to|as|for|at|when|zum|zur|um|pour|para|per|om|ein)\b(?: (?:your|you|the|complete|the))?"
        r" ?(?:sign|log|verif|confirm|authent|complete|continu|reset|activat|access|unlock|approv|pair|finish"
        r"|change|anmeld|best|v\xe9rif|confirmer|connect|iniciar|acced|registr)"
    ).encode("latin-1"),
    options(),
)
_CONFIRMED = re2.compile(
    rb"(?i)\bcode:? (?P<v>[0-9]{4,8})\b[:.,;]? ?[^\n]{0,20}?\b(?:confirm|valid|expire|verif|don't share"
    rb"|do not share|never share|log ?in|sign ?in|payment)",
    options(),
)
_BACKUP = re2.compile(
    (
        r"(?i)\b(?:(?:backup|back-up|recovery|rescue|emergency|scratch|restore|wiederherstellungs|ersatz"
        r"|notfall|2fa|mfa)[ \-]?(?:codes?|keys?|schl\xfcssel)"
        r"|codes? de (?:secours|r\xe9cup\xe9ration|sauvegarde)|c\xf3digos? de (?:respaldo|recuperaci\xf3n"
        r"|recupera\xe7\xe3o)|codici? di (?:recupero|backup)"
        r"|herstelcodes?|kody? (?:zapasow[ye]|odzyskiwania)|\xe5terst\xe4llningskod(?:er)?)"
        r"(?: (?:is|are|ist|sind|est|sont|es|son))?[ :=]{1,3}\s{0,4}(?P<v>(?:[0-9a-z]{4,10}"
        r"(?:[ \-][0-9a-z]{4,10}){0,7}[,;\s]{0,3}){1,12})"
    ).encode("latin-1"),
    options(),
)
_ONE_CODE = re2.compile(rb"[0-9A-Za-z]{4,10}(?:-[0-9A-Za-z]{4,10}){0,7}", options())
_ANSWERED = re2.compile(
    rb"(?i)\b(?:security|secret|sicherheits|memorable) ?(?:question|frage|word)s?\b[^\n]{0,100}?\n?(?:answer"
    rb"|antwort|a)(?: is)?[:=] {0,2}(?P<v>[^\n,;]{2,40})",
    options(),
)
_PHRASE = re2.compile(
    rb"(?:^|[\r\n\"'`:>])[ \t]{0,8}(?P<v>[a-z]{3,8}(?: [a-z]{3,8}){11,23})[ \t.]{0,4}(?:$|[\r\n\"'`<])", options()
)
_PHRASE_WORDS = (12, 15, 18, 21, 24)
"""BIP 39: so many words, of three to eight letters."""
_NOT_IN_PHRASES = words(
    """
    the and for are was were has have had not but from his her its our their been does did than into onto per via
    which would could while where these those there because being very much many such only both either neither
    und der die das ist nicht mit ein eine les des une est dans pour que con por los las una del van het een
    """
)
"""Words of prose that the list of BIP 39 does not hold."""
_OTHER = words(
    """
    after within took takes failed fails requests request error errors rate delivery delayed length per every order
    invoice version port line page step sent expires expired valid room flight in ms attempts users since until
    number digits digit retries seconds minutes timeout max min limit iso http status
    """
)
"""Words between that make the number one of something else."""
_UNIT = re2.compile(
    rb"(?i)^ ?(?:ms|s|sec|secs|seconds?|minutes?|min|hours?|days?|times?|users?|requests?|attempts?|digits?|%"
    rb"|px|kb|mb|gb|rpm|[km]?hz|k?w|kv|[kcm]?m|k?g|m[gl]|l|bar|psi|rows?|items?|lines?|bytes?|eur|usd|euros?"
    rb"|\xb0)(?:[^a-z]|$)",
    options(),
)


class Codes:
    """Codes by what is said of them. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """The codes; they may overlap."""
        data = latin(text)
        yield from _phrases(text, data)
        for start, end in _spans(_ANSWERED, data):
            yield Finding(start, end, "PASSWORD", SCORE, "answer")
        if not any(map(str.isdigit, text)):
            return
        for match in _SAID.finditer(data):
            start, end = match.span(3)
            gap = text[match.start(1) : match.end(1)].lower() if match.start(1) >= 0 else ""
            if _OTHER.isdisjoint(gap.replace(":", " ").split()) and _is_code(text, data, start, end):
                yield Finding(start, end, "PASSWORD", SCORE, "code_said")
        for start, end in (*_spans(_BEFORE, data), *_spans(_USED, data), *_spans(_CONFIRMED, data)):
            if _is_code(text, data, start, end):
                yield Finding(start, end, "PASSWORD", SCORE, "code_given")
        for first, last in _spans(_BACKUP, data):
            for match in _ONE_CODE.finditer(data[first:last]):
                start, end = first + match.start(), first + match.end()
                if any(map(str.isdigit, text[start:end])):
                    yield Finding(start, end, "PASSWORD", SCORE, "backup_code")


def _spans(pattern: "re2._Regexp[bytes]", data: bytes) -> Iterator[tuple[int, int]]:
    return (match.span(1) for match in pattern.finditer(data))


def _is_code(text: str, data: bytes, start: int, end: int) -> bool:
    """Whether nothing goes on behind the number: a unit, a fraction, a range."""
    behind = text[end : end + 2]
    goes_on = behind[:1] in (".", ",", "-", "/", ":") and behind[1:2].isdigit()
    return not goes_on and _UNIT.search(data[end : end + 12]) is None


def _phrases(text: str, data: bytes) -> Iterator[Finding]:
    """Recovery phrases that stand alone: twelve words or more, none of which joins a sentence."""
    for start, end in _spans(_PHRASE, data):
        found = text[start:end].split()
        if len(found) in _PHRASE_WORDS and _NOT_IN_PHRASES.isdisjoint(found) and len(set(found)) > len(found) - 3:
            yield Finding(start, end, "PRIVATE_KEY", SCORE, "phrase_alone")
