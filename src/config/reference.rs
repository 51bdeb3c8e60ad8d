//! Every key of the configuration with its default and its meaning.
//!
//! Owns the reference that README.md beside this file shows. The readers of the sections are the truth; tests compare.

use std::fmt::Write;

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The header that it stands under.
    pub section: &'static str,
    /// Its name.
    pub key: &'static str,
    /// Its default as it would be written; empty if it has none.
    pub default: &'static str,
    /// What it means.
    pub about: &'static str,
}

const fn key(section: &'static str, key: &'static str, default: &'static str, about: &'static str) -> Key {
    Key { section, key, default, about }
}

const SERVER: &str = "[server]";
const CLIENT: &str = "[[client]]";
const MDM: &str = "[[mdm]]";
const INTUNE: &str = "[[mdm]], kind = \"intune\"";
const INVENTORY: &str = "[[mdm]], kind = \"inventory\"";
const EAP_TLS: &str = "[eap-tls]";
const EAP_GROUP: &str = "[eap-tls.group.NAME]";
const LOG: &str = "[log]";
const METRICS: &str = "[metrics]";

/// All keys, in the order in which the reference shows them.
pub const KEYS: [Key; 73] = [
    key(SERVER, "auth-listen", r#"["0.0.0.0:1812", "[::]:1812"]"#, "Where Access-Requests come in."),
    key(SERVER, "acct-listen", r#"["0.0.0.0:1813", "[::]:1813"]"#, "Where Accounting-Requests come in; `[]`: nowhere."),
    key(SERVER, "shards", "0", "Threads, each with its own sockets; 0: one for each core."),
    key(SERVER, "policies", r#""policies""#, "The folder of policies; it must be there."),
    key(
        SERVER,
        "dictionaries",
        r#""dictionaries""#,
        "The folder of additional dictionaries; only one that is named must be there.",
    ),
    key(SERVER, "state-dir", r#""state""#, "The folder of what survives a restart."),
    key(
        SERVER,
        "decision-deadline",
        r#""2s""#,
        "An answer leaves by then, with what is known; below what NASes wait. At most 30s.",
    ),
    key(
        SERVER,
        "reject-delay",
        r#""1s""#,
        "How long a reject is held back, against guessing; never beyond the deadline.",
    ),
    key(
        SERVER,
        "udp-segmentation",
        "true",
        "Replies of one length to one client leave as one piece that the kernel cuts (UDP_SEGMENT). Switch it off if a network driver gets this wrong.",
    ),
    key(SERVER, "timezone", r#""local""#, "For `time.*` facts: `local`, `UTC` or a name such as `Europe/Berlin`."),
    key(CLIENT, "name", "", "Its name in policies, logs and metrics; unique."),
    key(
        CLIENT,
        "address",
        "",
        "Addresses and networks that it sends from. The longest prefix wins; no two clients share one network.",
    ),
    key(CLIENT, "secret", "", "The shared secret: `{ file = \"…\" }`, `{ env = \"…\" }`, or text (with a warning)."),
    key(CLIENT, "vendor", r#""generic""#, "How VLANs, ACLs and redirects are written on the wire."),
    key(CLIENT, "groups", "[]", "Names that policies ask for as `client.group`."),
    key(
        CLIENT,
        "message-authenticator",
        r#""require""#,
        "`require`: Access-Requests without it are dropped; `learn`: taken and counted; `optional`: taken.",
    ),
    key(
        CLIENT,
        "trust-authorize-only",
        "false",
        "Whether it has authenticated the device itself and may ask for authorization only (Service-Type 17).",
    ),
    key(
        CLIENT,
        "mab-password",
        r#""mac""#,
        "What a MAC bypass must carry: `mac` (the MAC, the User-Name or nothing), `any`, or a secret.",
    ),
    key(
        CLIENT,
        "mac-from",
        r#""either""#,
        "Which attribute names the MAC: `either` (and both must agree), `user-name`, `calling-station-id`.",
    ),
    key(CLIENT, "decision-deadline", "", "Instead of the server's."),
    key(MDM, "name", "", "Its name in policy sets, logs and metrics; unique."),
    key(MDM, "kind", r#""intune""#, "`intune`, or `inventory`: a file of devices, for labs and outage drills."),
    key(MDM, "enabled", "true", "Whether it is asked."),
    key(
        MDM,
        "identifiers",
        r#"["certificate-san", "certificate-cn", "attribute", "mac"]"#,
        "Which identity of a request is tried, in this order.",
    ),
    key(
        MDM,
        "device-id-attributes",
        r#"["Cisco-AVPair"]"#,
        "Where `attribute` looks for a device id; only for clients with trust-authorize-only.",
    ),
    key(MDM, "compliance-max-age", r#""5m""#, "Younger answers are used at once; for older ones the cloud is asked."),
    key(MDM, "stale-for", r#""8h""#, "How long an old answer may be served while the cloud can't be asked."),
    key(MDM, "negative-max-age", r#""1m""#, "How long \"not registered\" is believed."),
    key(MDM, "lookup-timeout", r#""1500ms""#, "How long one lookup may take in all; below every decision-deadline."),
    key(MDM, "grace-is-compliant", "true", "Whether a device in its grace period counts as compliant."),
    key(
        MDM,
        "mass-flip-guard",
        "",
        "`{ share = \"20%\", window = \"10m\", hold = \"1h\" }`: old answers are held (`mdm.source = \"held\"`) when so many of the known devices, at least 20, turn non-compliant at once. It also delays a deliberate change of a compliance policy, by `hold` or until HUP.",
    ),
    key(
        INTUNE,
        "tenant-id",
        "",
        "Directory (tenant) ID of the app registration, or a domain of the tenant. Not needed with a managed identity.",
    ),
    key(
        INTUNE,
        "client-id",
        "",
        "Application (client) ID of the app registration; with a managed identity only where the machine has several: whose.",
    ),
    key(
        INTUNE,
        "credential",
        "",
        "`{ certificate = \"…\", private-key = \"…\" }` (with `assertion = \"ps256\"` or `\"rs256\"`; a list of two while they are exchanged), `{ client-secret = { file = \"…\" } }`, `{ federated-token-file = \"…\" }` or `{ managed-identity = true }` (or its `{ client-id = \"…\" }`).",
    ),
    key(INTUNE, "cloud", r#""global""#, "`global` (also GCC), `gcc-high`, `dod`, `china`."),
    key(INTUNE, "token-url", "", "Instead of the cloud's: where tokens are issued (ISE: Token Issuing URL)."),
    key(
        INTUNE,
        "graph-url",
        "",
        "Instead of the cloud's: where Graph is (ISE: Auto Discovery URL). `http://` only to loopback.",
    ),
    key(INTUNE, "graph-scope", "", "Instead of the cloud's: the scope of tokens for Graph."),
    key(
        INTUNE,
        "intune-scope",
        "",
        "Instead of the cloud's: the scope of tokens for the compliance retrieval service.",
    ),
    key(
        INTUNE,
        "trust-anchors",
        r#"["certs/trust"]"#,
        "PEM files, or folders of them, that are trusted beside the system's roots; those that are named must be there.",
    ),
    key(INTUNE, "only-trust-anchors", "false", "Whether the system's roots are left out."),
    key(INTUNE, "proxy", "", "An HTTP proxy, `http://[user:password@]host:port`."),
    key(INTUNE, "lookup", r#"["graph", "compliance-retrieval"]"#, "Which APIs are asked, in this order."),
    key(INTUNE, "polling-interval", r#""4h""#, "How often the whole list of devices is fetched; `0s` is off."),
    key(INTUNE, "incremental-interval", r#""5m""#, "How often what checked in since is fetched; `0s` is off."),
    key(INTUNE, "requests-per-second", "80", "How much of Microsoft's budget (100) this server may use."),
    key(INVENTORY, "file", "", "The device file; read again when it changes."),
    key(EAP_TLS, "certificate", "", "The server's certificate with its chain, PEM."),
    key(EAP_TLS, "private-key", "", "Its private key, PEM, mode 0600."),
    key(
        EAP_TLS,
        "client-ca",
        "",
        "Who may issue client certificates, PEM or DER; a store of its own, not the system's.",
    ),
    key(EAP_TLS, "crl", "[]", "Their revocation lists, PEM or DER; read again at each reload."),
    key(EAP_TLS, "crl-failure", r#""closed""#, "Whether a missing or expired list rejects (`closed`) or not (`open`)."),
    key(
        EAP_TLS,
        "device-id-issuers",
        "[]",
        "Only certificates from these issuers (common name, or the whole name as in the log) name a device; `[]`: from any of client-ca.",
    ),
    key(
        EAP_TLS,
        "ocsp-response",
        "",
        "An OCSP response for the server's certificate, DER, that is sent with it; read again at each reload.",
    ),
    key(EAP_TLS, "session-lifetime", r#""8h""#, "How long a session may be resumed, at most 7d; `0s` is off."),
    key(
        EAP_TLS,
        "tickets",
        "1",
        "Tickets for TLS 1.3: 1, or 0 for devices that stumble over them, which then never resume.",
    ),
    key(EAP_TLS, "sessions-max", "16384", "Conversations that may be open at once; a restart is needed to change it."),
    key(
        EAP_TLS,
        "client-sessions-max",
        "4096",
        "As many of them one client may have; a restart is needed to change it.",
    ),
    key(EAP_TLS, "idle-timeout", r#""60s""#, "How long a device may take for one packet, at most 120s."),
    key(EAP_TLS, "total-timeout", r#""120s""#, "How long it may take for all of them, at most 120s."),
    key(
        EAP_TLS,
        "group",
        "",
        "`[eap-tls.group.NAME]`: what differs for clients with NAME among their `groups`. The first such group of a client counts.",
    ),
    key(
        EAP_TLS,
        "fragment-size",
        "1024",
        "Octets of the longest EAP packet, 256 to 1496; a smaller Framed-MTU counts.",
    ),
    key(EAP_TLS, "tls-max", r#""1.3""#, "The newest TLS version that is offered, `1.2` or `1.3`."),
    key(
        EAP_TLS,
        "rsa-pss",
        "true",
        "`false`: devices don't sign with RSA-PSS, which old TPMs can't; it keeps them at TLS 1.2, which has other signatures.",
    ),
    key(
        EAP_TLS,
        "eap-md5",
        "false",
        "Whether MAC bypass may come as EAP-MD5 (Cisco: `mab eap`); wired only, and only where a policy set's `methods` has it.",
    ),
    key(EAP_GROUP, "fragment-size", "", "Instead of `[eap-tls]`'s."),
    key(EAP_GROUP, "tls-max", "", "Instead of `[eap-tls]`'s."),
    key(EAP_GROUP, "rsa-pss", "", "Instead of `[eap-tls]`'s."),
    key(EAP_GROUP, "eap-md5", "", "Instead of `[eap-tls]`'s."),
    key(LOG, "format", r#""text""#, "How radmit's own log is written, `text` or `json`."),
    key(LOG, "level", r#""info""#, "From which level on: `error`, `warn`, `info`, `debug`, `trace`."),
    key(LOG, "decisions", r#""stdout""#, "Where decisions go: `stdout`, `off`, or a file (mode 0640)."),
    key(METRICS, "listen", r#""127.0.0.1:9812""#, "Where /metrics, /healthz and /readyz are; `off`: nowhere."),
];

/// The reference as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "<!-- Written by `REGENERATE=1 cargo test --test tidy` from reference.rs. -->\n\n\
         # radmit.toml\n\n\
         The file starts with `version = 1`. Files in `conf.d/*.toml` beside it, each with its own `version = 1`, are added\n\
         in the order of their names: `[[client]]` and `[[mdm]]` add up, of other keys the last file's value counts.\n\
         Paths are relative to the file that names them. Durations have units: `ms`, `s`, `m`, `h`, `d`.\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            let _ = write!(text, "\n## `{section}`\n\n| key | default | meaning |\n| --- | --- | --- |\n");
        }
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        let _ = writeln!(text, "| `{}` | {default} | {} |", key.key, key.about);
    }
    text
}
