"""Passwords in commands, in programs, and in the settings of routers and of Windows, each where its grammar puts it.

Sources: the manual pages of the commands; Cisco IOS Security Command Reference; Microsoft's Unattend reference.
"""

from redaction.detectors.rules import Rule
from redaction.detectors.secrets import chosen

_IN = r"\b[^\n|;]{0,100}? "
_VALUE = r"[\"']?(?P<v>[^\s\"'`]{3,128})"
_LEVEL = r"(?: level [0-9]{1,2})?(?: [0-9])?"
_SHORTEST = 6


def _is_mixed(text: str) -> int:
    """Letters and digits: what nobody writes as a word."""
    is_mixed = any(map(str.isdigit, text)) and any(map(str.isalpha, text)) and len(text) >= _SHORTEST
    return chosen(text) if is_mixed else 0


RULES = (
    Rule("zip_password", "PASSWORD", rf"\b(?:zip|unzip){_IN}-P ?{_VALUE}", 0.9, chosen),
    Rule("archive_password", "PASSWORD", rf"\b(?:7z[arz]?|rar|unrar){_IN}-h?p{_VALUE}", 0.9, chosen),
    Rule("account_password", "PASSWORD", rf"\b(?:useradd|usermod){_IN}-p {_VALUE}", 0.9, chosen),
    Rule("broker_password", "PASSWORD", rf"\bmosquitto_(?:pub|sub|rr){_IN}-P {_VALUE}", 0.9, chosen),
    Rule("web_password", "PASSWORD", rf"\bhtpasswd -[a-zA-Z0-9]*b[a-zA-Z0-9]* [^\s]{{1,120}} [^\s]{{1,64}} "
         rf"{_VALUE}", 0.9,
         chosen),
    Rule("queue_password", "PASSWORD",
         rf"\brabbitmqctl (?:add_user|change_password|authenticate_user) [^\s]{{1,64}} {_VALUE}", 0.9, chosen),
    Rule("piped_account", "PASSWORD", r"\becho [\"']?[a-z_][a-z0-9_\-]{0,31}:(?P<v>[^\s\"'|]{3,128})[\"']? ?\| ?"
         r"(?:sudo )?chpasswd",
         0.9, chosen),
    Rule("oracle_login", "PASSWORD",
         r"\b(?:sqlplus|sqlldr|expdp|impdp|exp|imp|rman)(?: -[A-Za-z]{1,8})* [\"']?"
         r"(?:userid=)?[A-Za-z0-9_]{1,30}/(?P<v>[^\s@\"'/]{3,64})@",
         0.9, chosen),
    Rule("share_password", "PASSWORD", rf"\b(?:smbclient|rpcclient|net|smbget){_IN}(?:-U"
         rf"|--user)[ =]?[\"']?[^\s%]{{1,64}}%{_VALUE}",
         0.9, chosen),
    Rule("community", "PASSWORD", rf"(?i)\bsnmp-server (?:community|host [^\s]{{1,64}}"
         rf"(?: version [0-9]c?)?) {_VALUE} ?(?:r[ow]\b|view|[0-9]|$)",
         0.9, chosen),
    Rule("enabled", "PASSWORD", rf"(?i)\benable (?:secret|password){_LEVEL} {_VALUE}", 0.8, _is_mixed),
    Rule("router_user", "PASSWORD",
         rf"(?i)\busername [^\s]{{1,64}}(?: privilege [0-9]{{1,2}})?(?: (?:secret|password)){_LEVEL} {_VALUE}", 0.9,
         chosen),
    Rule("router_key", "PASSWORD",
         rf"(?i)\b(?:(?:tacacs|radius)-server (?:host [^\s]{{1,64}} )?key|key-string|pre-shared-key(?: (?:local"
         rf"|remote|address [^\s]{{1,64}} key))?"
         rf"|neighbor [^\s]{{1,64}} password|isakmp key|ospf (?:message-digest-key [0-9]{{1,3}} md5"
         rf"|authentication-key)"
         rf"|ppp chap password|wpa-psk ascii){_LEVEL} {_VALUE}", 0.9, chosen),
    Rule("unattended", "PASSWORD", r"(?i)<[a-z]{0,30}password>\s{0,40}<value>(?P<v>[^<\s]{3,128})</value>", 0.9,
         chosen),
    Rule("passed_login", "PASSWORD",
         r"(?i)\b(?:login|log_in|sign_in|signin|authenticate|networkcredential|usernamepasswordcredentials"
         r"|passwordauthentication"
         r"|basic_?auth|set_basic_auth|httpbasicauth|withbasicauth"
         r"|setbasicauth|auth)\([\"'][^\"'\n]{1,64}[\"'], ?[\"'](?P<v>[^\"'\n]{6,64})[\"']",
         0.8, _is_mixed),
    Rule("key_generated", "PASSWORD", rf"\bssh-keygen{_IN}-[NP] {_VALUE}", 0.9, chosen),
    Rule("key_store", "PASSWORD", rf"\b-(?:store|key|src(?:store|key)|dest(?:store|key))pass {_VALUE}", 0.9, chosen),
    Rule("fed_password", "PASSWORD",
         rf"\becho (?:-n )?{_VALUE}[\"']? ?\| ?[^\n|]{{0,80}}(?:--password-stdin|--stdin|--passphrase-fd"
         rf"|cryptsetup|kinit|smbpasswd|-pass stdin|--pass-stdin)",
         0.9, chosen),
    Rule("here_password", "PASSWORD", rf"\b(?:vncpasswd|passwd|kinit|cryptsetup)\b[^\n|;]{{0,60}}<<< ?{_VALUE}", 0.9,
         chosen),
    Rule("wireless", "PASSWORD", rf"\bwpa_passphrase [^\s]{{1,64}} {_VALUE}", 0.9, chosen),
    Rule("obscured", "PASSWORD", rf"\brclone obscure {_VALUE}", 0.9, chosen),
    Rule("echoed", "PASSWORD", r"--pass(?:word|phrase)-command[ =][\"']?echo (?P<v>[^\s\"']{4,128})", 0.9, chosen),
    Rule("remote_desktop", "PASSWORD",
         r"(?:^|\s)/p(?:ass|wd)?:(?P<v>[^\s\"'/]{4,128})", 0.8, chosen,
         ("/u:", "/user:", "rdp", "/v:"), True),
    Rule("account_of_windows", "PASSWORD", r"(?i)\bnet user [^\s/]{1,64} (?P<v>[^\s/*]{4,128}) /add", 0.9, chosen),
    Rule("expected", "PASSWORD", r"\bsend(?: --)? [\"'](?P<v>[^\s\"'\\]{4,64})\\[rn]", 0.7, _is_mixed),
    Rule("constant", "PASSWORD",
         r"(?i)\b(?:define|setenv|putenv|set|put|setproperty|setdefault|setitem"
         r"|export)\( ?[\"'][a-z0-9_.\-]{0,40}(?:pass(?:word|wd)?|pwd|secret|token|api_?key)[\"'], ?[\"']"
         r"(?P<v>[^\"'\n]{4,128})[\"']",
         0.9, chosen),
    Rule("router_password", "PASSWORD", rf"(?i)\b(?:ip ftp|ip http client"
         rf"|sent-username [^\s]{{1,64}}) password{_LEVEL} {_VALUE}", 0.9, chosen),
    Rule("agent_of_network", "PASSWORD", rf"(?i)\b(?:auth|priv) (?:md5|sha|des|3des|aes)"
         rf"(?:[ \-]?[0-9]{{1,3}})? {_VALUE}", 0.8, chosen, ("snmp",), True),
    Rule("agent_of_junos", "PASSWORD", rf"(?i)\bset snmp community {_VALUE}", 0.9, chosen),
    Rule("putty_key", "PRIVATE_KEY", r"(?i)private-lines: ?[0-9]{1,3}\r?\n(?P<v>(?:[A-Za-z0-9+/=]{4,}\r?\n?)+)", 1.0),
)  # fmt: skip
