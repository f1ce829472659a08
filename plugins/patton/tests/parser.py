"""SmartNode's settings: commands, two blanks deeper for what belongs to the one before.

A setting is a command with those above it; words that users choose freely are its value.
"""

import re

WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s"\\]+)')
# Those that the format description has, by their first words.
COMMANDS = """
    cli clock sntp-client administrator operator timer profile actions syslog-client system context
    port authentication-service location-service destination location activation rule condition
    action remote facility ic low-bitrate-codec play pause map codec dtmf-relay ced fax source set
    interface ipaddress tcp use medium vlan encapsulation bind no routing-table route service
    timeout message-waiting-indication call-transfer subscriber-number username domain identity
    authentication authenticate call preferred-transport-protocol message subscribe registration
    register registrar notify
"""
KNOWN = frozenset(COMMANDS.split())


def words_of(line):
    words, position = [], 0
    while position < len(line):
        match = WORD.match(line, position)
        assert match, line
        quoted, plain = match.groups()
        words.append(plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        position = match.end()
        assert position == len(line) or line[position] == " ", line
        position += 1
    return words


def parse(content):
    lines = content.decode("ascii").split("\n")
    assert lines[0] == "cli version 3.20"
    assert lines[-1] == ""
    pairs = []
    above = []
    entered = {}
    for line in lines[:-1]:
        assert line.isprintable()
        if not line:
            continue
        depth, odd = divmod(len(line) - len(line.lstrip(" ")), 2)
        assert not odd, line
        assert depth <= len(above), line
        words = words_of(line.strip(" "))
        assert words[0] in KNOWN, line
        value = " ".join(words)
        if "password" in words[:-1]:
            words.pop()
        name = " ".join(words)
        if depth == 0:
            # Some modes are entered twice.
            entered[name] = entered.get(name, 0) + 1
            name += "" if entered[name] == 1 else f" ({entered[name]})"
        above[depth:] = [name]
        pairs.append(("/".join(above), value))
    return pairs
