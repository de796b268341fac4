"""From facts to lines: what holds, what does not, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from bedplate.model.network import Reach
from bedplate.node.report.facts import Facts, NodeState, NoState, Request, Server
from bedplate.node.units import BadUnit

UNAUTHORIZED, OK = 401, 200
LAST_WORDS = 160
"""Characters of a unit's last words that fit beside the rest."""
KLOG = re.compile(r"^[IWEF]\d{4} \S+ +\d+ \S+\] ")
STATE_UNITS = frozenset({"var.mount", "bedplate-state.service", "systemd-repart.service"})
RESET = "Delete the machine and make it anew with a fresh token."
CREDENTIAL = "Start the machine with the credential bedplate.kubelet-bootstrap, a kubeconfig with a bootstrap token."


class Word(Enum):
    """FAIL keeps the node from joining, WARN costs something, WAIT should pass by itself."""

    OK = "ok"
    WAIT = "wait"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report; `advice` may change from one time to the next without making it a new line."""

    about: str
    word: Word
    message: str
    advice: str = ""

    @property
    def key(self) -> tuple[str, Word, str]:
        """What makes the line the same as before."""
        return self.about, self.word, self.message

    def __str__(self) -> str:
        text = f"{self.about:<11} {self.word.value:<4} {self.message}"
        return f"{text}. {self.advice}" if self.advice else text


NOT_REACHED = {
    Reach.NO_NAME: ("{host} does not resolve", "See the line dns."),
    Reach.NO_ROUTE: ("no route to {place}", "See the line address."),
    Reach.REFUSED: ("{place} refused the connection", "Is the control plane up?"),
    Reach.SILENT: ("{place} does not answer", "Is the control plane up, and is TCP port {port} let through?"),
    Reach.UNTRUSTED: (
        "{place} is not trusted ({details})",
        "The credential is of another cluster, or the server's certificate lacks this name.",
    ),
    Reach.BROKEN: ("{place} breaks off ({details})", "Is it an API server?"),
}
"""What to say of an API server that did not answer."""
REQUESTED = {
    Request.PENDING: (Word.WAIT, "asked for, not approved yet", "kubectl get csr shows the request; approve it."),
    Request.APPROVED: (Word.WAIT, "approved, not signed yet", "Does the controller manager run?"),
    Request.DENIED: (Word.FAIL, "denied by the cluster", "kubectl describe csr says why."),
    Request.NONE: (Word.WAIT, "not asked for yet", "The kubelet asks once it runs."),
    Request.UNKNOWN: (Word.WAIT, "none yet", "kubectl get csr shows whether it is asked for."),
}
"""What to say of a certificate that is not there though the API server answers."""

NOT_SEEN = {
    NoState.UNREGISTERED: ("{name} is not registered yet", ""),
    NoState.UNKNOWN: ("the API server does not tell of {name}", "kubectl get node {name} shows whether it knows it."),
}
"""What to say of a node that the kubelet serves, but the API server does not show."""


def judge(facts: Facts) -> tuple[Line, ...]:
    """The report, always in the same order; the last line is the node's own."""
    checks = (address(facts), dns(facts), clock(facts), api(facts), certificate(facts), *units(facts.units))
    return *checks, node(facts, checks)


def is_ready(facts: Facts) -> bool:
    return facts.kubelet_answers and isinstance(facts.state, NodeState) and facts.state.ready


def address(facts: Facts) -> Line:
    links, gateway = facts.network.links, facts.network.gateway
    if not links:
        return Line("address", Word.FAIL, "no network card", "Give the machine one that Linux has a driver for here.")
    addresses = ", ".join(f"{each} on {link.name}" for link in links for each in link.addresses)
    names = ", ".join(link.name for link in links)
    if not addresses and not any(link.carrier for link in links):
        return Line("address", Word.FAIL, f"no carrier on {names}", "Is the cable or the virtual network connected?")
    if not addresses:
        return Line("address", Word.FAIL, f"none on {names}", "Does a DHCP server answer in this network?")
    if gateway is None:
        return Line("address", Word.WARN, f"{addresses}, no gateway", "Only this network can be reached.")
    return Line("address", Word.OK, f"{addresses}, gateway {gateway.address or gateway.link}")


def dns(facts: Facts) -> Line:
    servers, silent = facts.network.name_servers, facts.network.silent
    if not servers:
        return Line("dns", Word.WARN, "no name server", "Let DHCP name one, or registries will not be found.")
    if facts.server and not facts.network.resolves:
        return Line("dns", Word.FAIL, f"{facts.server.host} has no address", f"Add it on {', '.join(servers)}.")
    if len(silent) == len(servers):
        return Line("dns", Word.WARN, f"{', '.join(silent)} does not answer", "Is UDP port 53 let through?")
    if silent:
        return Line("dns", Word.WARN, f"{', '.join(silent)} does not answer", "Another name server does.")
    return Line("dns", Word.OK, f"{', '.join(servers)} answers")


def clock(facts: Facts) -> Line:
    time = facts.time
    if time.trusted_from and time.now < time.trusted_from:
        begin = time.trusted_from.date()
        message = f"{time.now.date()} is before the cluster's CA begins, {begin}"
        return Line("clock", Word.FAIL, message, "Set the clock of the machine or of its host.")
    if not time.synchronised:
        advice = "Let UDP port 123 to an NTP server through, or see that the host's clock is right."
        return Line("clock", Word.WARN, f"{time.now.date()}, not synchronised", advice)
    return Line("clock", Word.OK, "synchronised")


def api(facts: Facts) -> Line:
    if facts.unreadable:
        return Line("api", Word.FAIL, f"the kubeconfig cannot be read ({facts.unreadable})", CREDENTIAL)
    if facts.server is None or facts.api is None:
        return Line("api", Word.FAIL, "no cluster is named", CREDENTIAL)
    server, answer = facts.server, facts.api
    if answer.reach is Reach.ANSWERED and answer.status >= 500:
        return Line("api", Word.FAIL, f"{server.place} answers {answer.status}", "Is the control plane healthy?")
    if answer.reach is Reach.ANSWERED:
        return Line("api", Word.OK, f"{server.place} answers")
    message, advice = NOT_REACHED[answer.reach]
    values = {"host": server.host, "port": server.port, "place": server.place, "details": answer.details}
    return Line("api", Word.FAIL, message.format(**values), advice.format(**values))


def certificate(facts: Facts) -> Line:
    valid, now = facts.certificate, facts.time.now
    if valid is None:
        return _no_certificate(facts, facts.server)
    if now > valid.end:
        return Line("certificate", Word.FAIL, f"expired on {valid.end.date()}", RESET)
    if now < valid.start:
        return Line("certificate", Word.FAIL, f"valid from {valid.start.date()} only", "See the line clock.")
    if _refused(facts):
        return Line("certificate", Word.FAIL, "refused by the API server", RESET)
    return Line("certificate", Word.OK, f"valid until {valid.end.date()}")


def _no_certificate(facts: Facts, server: Server | None) -> Line:
    if server is None:
        return Line("certificate", Word.WAIT, "none", "See the line api.")
    if not server.token:
        return Line("certificate", Word.FAIL, "none, and no bootstrap token to ask for one", CREDENTIAL)
    if _refused(facts):
        return Line("certificate", Word.FAIL, "none: the bootstrap token was refused", f"It is over or wrong. {RESET}")
    if facts.api is None or facts.api.reach is not Reach.ANSWERED:
        return Line("certificate", Word.WAIT, "none", "The node asks for one when the API server answers.")
    return Line("certificate", *REQUESTED[facts.request])


def _refused(facts: Facts) -> bool:
    return facts.api is not None and facts.api.reach is Reach.ANSWERED and facts.api.status == UNAUTHORIZED


def units(bad: tuple[BadUnit, ...] | None) -> tuple[Line, ...]:
    if bad is None:
        return (Line("unit", Word.WARN, "PID 1 does not tell which failed", "It is asked again; is the machine busy?"),)
    return tuple(unit(each) for each in bad) or (Line("unit", Word.OK, "none failed"),)


def unit(bad: BadUnit) -> Line:
    """A unit's own last words are the best advice there is; a log full of them may be long."""
    message = f"{bad.name} ends again and again" if bad.restarts else f"{bad.name} failed"
    if bad.name in STATE_UNITS:
        return Line("unit", Word.FAIL, message, "Is the machine's disk whole and large enough?")
    words = KLOG.sub("", bad.last_words)
    short = words if len(words) <= LAST_WORDS else f"{words[: LAST_WORDS - 1]}…"
    return Line("unit", Word.FAIL, message, f"Its last words: {short}" if short else "It left no words.")


def node(facts: Facts, checks: tuple[Line, ...]) -> Line:
    failing = [line.about for line in checks if line.word is Word.FAIL]
    if is_ready(facts):
        return Line("node", Word.OK, f"{facts.name} is Ready")
    if failing:
        return Line("node", Word.WAIT, f"{facts.name} waits for: {', '.join(dict.fromkeys(failing))}")
    if facts.certificate is None:
        return Line("node", Word.WAIT, f"{facts.name} waits for its certificate")
    if not facts.kubelet_answers:
        return Line("node", Word.WAIT, f"{facts.name} waits for the kubelet to start")
    if isinstance(facts.state, NoState):
        message, advice = NOT_SEEN[facts.state]
        return Line("node", Word.WAIT, message.format(name=facts.name), advice.format(name=facts.name))
    return Line("node", Word.WAIT, f"{facts.name} is not Ready", facts.state.message)
