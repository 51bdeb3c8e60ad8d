//! The names that Cisco IOS has for protocols, ports, ICMP messages and classes of traffic.
//!
//! Owns the lists only. Source: Cisco IOS Security Command Reference, "permit (IP)" and "permit (IPv6)".

use super::rule::{Family, Icmp, Protocol};

/// The protocol of this name or number.
pub(super) fn protocol(word: &str, family: Family) -> Option<Protocol> {
    if word == family.any_protocol() {
        return Some(Protocol::Any);
    }
    if let Ok(number) = word.parse() {
        return Some(Protocol::Number(number));
    }
    protocols(family).iter().find(|(name, _)| *name == word).map(|(_, number)| Protocol::Number(*number))
}

/// The names of the protocols of a family, without the word for all.
pub(super) const fn protocols(family: Family) -> &'static [(&'static str, u8)] {
    match family {
        Family::Ipv4 => &[
            ("ahp", 51),
            ("eigrp", 88),
            ("esp", 50),
            ("gre", 47),
            ("icmp", 1),
            ("igmp", 2),
            ("ipinip", 4),
            ("nos", 94),
            ("ospf", 89),
            ("pcp", 108),
            ("pim", 103),
            ("sctp", 132),
            ("tcp", 6),
            ("udp", 17),
        ],
        Family::Ipv6 => &[("ahp", 51), ("esp", 50), ("icmp", 58), ("pcp", 108), ("sctp", 132), ("tcp", 6), ("udp", 17)],
    }
}

/// The names of the ports of a protocol.
pub(super) fn ports(protocol: Protocol) -> &'static [(&'static str, u16)] {
    match protocol {
        Protocol::TCP => TCP_PORTS,
        Protocol::UDP => UDP_PORTS,
        _ => &[],
    }
}

/// The number of a service that IOS has no name for, so that the message can give it.
pub(super) fn port_without_name(word: &str) -> Option<u16> {
    const NAMES: [(&str, u16); 18] = [
        ("dhcp", 67),
        ("dhcpv6", 547),
        ("dns", 53),
        ("http", 80),
        ("https", 443),
        ("imap", 143),
        ("imaps", 993),
        ("ipp", 631),
        ("kerberos", 88),
        ("ldap", 389),
        ("ldaps", 636),
        ("mdns", 5353),
        ("rdp", 3389),
        ("sip", 5060),
        ("smb", 445),
        ("ssh", 22),
        ("netbios-ssn", 139),
        ("radius", 1812),
    ];
    NAMES.iter().find(|(name, _)| *name == word).map(|(_, number)| *number)
}

/// The ICMP message of this name.
pub(super) fn icmp(word: &str, family: Family) -> Option<Icmp> {
    let names = icmp_names(family);
    names.iter().find(|(name, ..)| *name == word).map(|(_, kind, code)| Icmp { kind: *kind, code: *code })
}

/// The names of the ICMP messages of a family with types and codes.
pub(super) const fn icmp_names(family: Family) -> &'static [(&'static str, u8, Option<u8>)] {
    match family {
        Family::Ipv4 => ICMP4,
        Family::Ipv6 => ICMP6,
    }
}

/// The names of DSCP values; numbers from 0 to 63 are fine too.
pub(super) const DSCP: [&str; 22] = [
    "af11", "af12", "af13", "af21", "af22", "af23", "af31", "af32", "af33", "af41", "af42", "af43", "cs1", "cs2",
    "cs3", "cs4", "cs5", "cs6", "cs7", "default", "ef", "va",
];

/// The names of precedence values; numbers from 0 to 7 are fine too.
pub(super) const PRECEDENCE: [&str; 8] =
    ["critical", "flash", "flash-override", "immediate", "internet", "network", "priority", "routine"];

/// The flags of TCP.
pub(super) const TCP_FLAGS: [&str; 6] = ["ack", "fin", "psh", "rst", "syn", "urg"];

const TCP_PORTS: &[(&str, u16)] = &[
    ("bgp", 179),
    ("chargen", 19),
    ("cmd", 514),
    ("daytime", 13),
    ("discard", 9),
    ("domain", 53),
    ("drip", 3949),
    ("echo", 7),
    ("exec", 512),
    ("finger", 79),
    ("ftp", 21),
    ("ftp-data", 20),
    ("gopher", 70),
    ("hostname", 101),
    ("ident", 113),
    ("irc", 194),
    ("klogin", 543),
    ("kshell", 544),
    ("login", 513),
    ("lpd", 515),
    ("nntp", 119),
    ("pim-auto-rp", 496),
    ("pop2", 109),
    ("pop3", 110),
    ("smtp", 25),
    ("sunrpc", 111),
    ("syslog", 514),
    ("tacacs", 49),
    ("talk", 517),
    ("telnet", 23),
    ("time", 37),
    ("uucp", 540),
    ("whois", 43),
    ("www", 80),
];

const UDP_PORTS: &[(&str, u16)] = &[
    ("biff", 512),
    ("bootpc", 68),
    ("bootps", 67),
    ("discard", 9),
    ("dnsix", 195),
    ("domain", 53),
    ("echo", 7),
    ("isakmp", 500),
    ("mobile-ip", 434),
    ("nameserver", 42),
    ("netbios-dgm", 138),
    ("netbios-ns", 137),
    ("netbios-ss", 139),
    ("non500-isakmp", 4500),
    ("ntp", 123),
    ("pim-auto-rp", 496),
    ("rip", 520),
    ("snmp", 161),
    ("snmptrap", 162),
    ("sunrpc", 111),
    ("syslog", 514),
    ("tacacs", 49),
    ("talk", 517),
    ("tftp", 69),
    ("time", 37),
    ("who", 513),
    ("xdmcp", 177),
];

const ICMP4: &[(&str, u8, Option<u8>)] = &[
    ("administratively-prohibited", 3, Some(13)),
    ("alternate-address", 6, None),
    ("conversion-error", 31, None),
    ("dod-host-prohibited", 3, Some(10)),
    ("dod-net-prohibited", 3, Some(9)),
    ("echo", 8, None),
    ("echo-reply", 0, None),
    ("general-parameter-problem", 12, Some(0)),
    ("host-isolated", 3, Some(8)),
    ("host-precedence-unreachable", 3, Some(14)),
    ("host-redirect", 5, Some(1)),
    ("host-tos-redirect", 5, Some(3)),
    ("host-tos-unreachable", 3, Some(12)),
    ("host-unknown", 3, Some(7)),
    ("host-unreachable", 3, Some(1)),
    ("information-reply", 16, None),
    ("information-request", 15, None),
    ("mask-reply", 18, None),
    ("mask-request", 17, None),
    ("mobile-redirect", 32, None),
    ("net-redirect", 5, Some(0)),
    ("net-tos-redirect", 5, Some(2)),
    ("net-tos-unreachable", 3, Some(11)),
    ("net-unreachable", 3, Some(0)),
    ("network-unknown", 3, Some(6)),
    ("no-room-for-option", 12, Some(2)),
    ("option-missing", 12, Some(1)),
    ("packet-too-big", 3, Some(4)),
    ("parameter-problem", 12, None),
    ("port-unreachable", 3, Some(3)),
    ("precedence-unreachable", 3, Some(15)),
    ("protocol-unreachable", 3, Some(2)),
    ("reassembly-timeout", 11, Some(1)),
    ("redirect", 5, None),
    ("router-advertisement", 9, None),
    ("router-solicitation", 10, None),
    ("source-quench", 4, None),
    ("source-route-failed", 3, Some(5)),
    ("time-exceeded", 11, None),
    ("timestamp-reply", 14, None),
    ("timestamp-request", 13, None),
    ("traceroute", 30, None),
    ("ttl-exceeded", 11, Some(0)),
    ("unreachable", 3, None),
];

const ICMP6: &[(&str, u8, Option<u8>)] = &[
    ("beyond-scope", 1, Some(2)),
    ("destination-unreachable", 1, Some(3)),
    ("echo-reply", 129, None),
    ("echo-request", 128, None),
    ("header", 4, Some(0)),
    ("hop-limit", 3, Some(0)),
    ("mld-query", 130, None),
    ("mld-reduction", 132, None),
    ("mld-report", 131, None),
    ("nd-na", 136, None),
    ("nd-ns", 135, None),
    ("next-header", 4, Some(1)),
    ("no-admin", 1, Some(1)),
    ("no-route", 1, Some(0)),
    ("packet-too-big", 2, None),
    ("parameter-option", 4, Some(2)),
    ("parameter-problem", 4, None),
    ("port-unreachable", 1, Some(4)),
    ("reassembly-timeout", 3, Some(1)),
    ("redirect", 137, None),
    ("renum-command", 138, Some(0)),
    ("renum-result", 138, Some(1)),
    ("renum-seq-number", 138, Some(255)),
    ("router-advertisement", 134, None),
    ("router-renumbering", 138, None),
    ("router-solicitation", 133, None),
    ("time-exceeded", 3, None),
    ("unreachable", 1, None),
];
