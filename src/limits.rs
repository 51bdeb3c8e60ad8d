//! Every bound of radmit with its reason. Nothing else in the tree invents a maximum.
//!
//! Each collection that strangers, operators or the cloud can fill names its bound here and says there what happens when
//! it is full. `tests/tidy.rs` looks for collections that don't.

use std::time::Duration;

// --- RADIUS ----------------------------------------------------------------------------------------------------------

/// Octets of the header: code, identifier, length, authenticator (RFC 2865 section 3).
pub const HEADER_OCTETS: usize = 20;
/// The longest packet, in both directions (RFC 2865 section 3).
pub const PACKET_OCTETS_MAX: usize = 4096;
/// More attributes than any NAS sends; over it the packet is dropped (CONTRACT: "malformed: more than 200 attributes").
pub const ATTRIBUTES_MAX: usize = 200;
/// The longest value of one attribute: the length octet counts type and length too.
pub const VALUE_OCTETS_MAX: usize = 253;
/// Nesting of TLVs (RFC 6929 section 2.3 advises at most four).
pub const TLV_DEPTH_MAX: usize = 4;
/// Plain octets of a User-Password (RFC 2865 section 5.2).
pub const PASSWORD_OCTETS_MAX: usize = 128;

// --- files -----------------------------------------------------------------------------------------------------------

/// One file of an operator; a policy of this size has tens of thousands of rules.
pub const FILE_OCTETS_MAX: usize = 8 * 1024 * 1024;
/// Problems that are listed; the rest is counted. Nobody reads the thousandth message.
pub const PROBLEMS_MAX: usize = 1_000;
/// Problems of a load with a suggestion in them. Each is sought among all names, so that thousands would take minutes;
/// those after these come without.
pub const SUGGESTIONS_MAX: usize = 100;
/// The longest unknown word for which a right one is looked for; names are shorter, and looking costs its length each time.
pub const SUGGESTED_NAME_OCTETS_MAX: usize = 128;
/// Files in one folder of policies, dictionaries or `conf.d`.
pub const FILES_MAX: usize = 1_000;
/// Depth of `$INCLUDE` in dictionaries: Debian's tree needs 3.
pub const INCLUDE_DEPTH_MAX: usize = 16;
/// Attributes of all dictionaries together: Debian's complete tree has about 7,000.
pub const DICTIONARY_ATTRIBUTES_MAX: usize = 100_000;
/// Named values of all dictionaries together.
pub const DICTIONARY_VALUES_MAX: usize = 200_000;
/// Vendors of all dictionaries together.
pub const DICTIONARY_VENDORS_MAX: usize = 10_000;
/// Devices in a device file.
pub const DEVICE_FILE_DEVICES_MAX: usize = 1_000_000;

// --- policy ----------------------------------------------------------------------------------------------------------

/// Rules of all sets together.
pub const RULES_MAX: usize = 50_000;
/// Nesting of `any`, `all`, `not` and named conditions.
pub const CONDITION_DEPTH_MAX: usize = 16;
/// Size of one compiled regular expression, in octets: the engine is linear, its tables are bounded by this.
pub const REGEX_OCTETS_MAX: usize = 256 * 1024;
/// Nesting inside of one regular expression.
pub const REGEX_DEPTH_MAX: u32 = 50;
/// Tests in one rule's condition, named conditions counted as often as they are used: otherwise conditions that name
/// each other twice would double with each step.
pub const CONDITION_TESTS_MAX: usize = 4_096;
/// Policy sets of one server.
pub const POLICY_SETS_MAX: usize = 1_000;
/// Cases of all policy files together.
pub const CASES_MAX: usize = 100_000;
/// Devices of which a replay keeps the change; the rest is only counted.
pub const REPLAY_DEVICES_MAX: usize = 100_000;
/// Entries of all lists together.
pub const LIST_ENTRIES_MAX: usize = 1_000_000;
/// Rules of one ACL and family. Switches hold a few thousand on all their ports together.
pub const ACL_RULES_MAX: usize = 2_000;
/// Ports behind one `eq` of an ACL: IOS takes no more.
pub const ACL_PORTS_MAX: usize = 10;
/// Characters of an ACL's name: with everything around it, it must fit into a User-Name.
pub const ACL_NAME_CHARACTERS_MAX: usize = 64;
/// ACLs that can be downloaded, with those of earlier policies. When full those of earlier policies are dropped.
pub const DOWNLOADS_MAX: usize = 10_000;
/// How long an ACL of an earlier policy can still be downloaded: whoever was told of it comes within seconds, and a client
/// that restarts may have lost those that its sessions use.
pub const DOWNLOADS_KEPT: Duration = Duration::from_secs(3600);
/// Vendor tables, compiled in and of the operator together.
pub const VENDORS_MAX: usize = 200;
/// Octets that a plan leaves for what the engine adds to a reply: Message-Authenticator (18), Class (about 40),
/// User-Name, the keys of EAP-TLS (116) and the client's Proxy-States.
pub const REPLY_OCTETS_RESERVED: usize = 512;

// --- engine ----------------------------------------------------------------------------------------------------------

/// Answers that one shard can repeat to retransmissions. When full the oldest leaves; a late repeat is then decided anew.
pub const REPLIES_KEPT_MAX: usize = 16_384;
/// How long a reply can be repeated (RFC 5080 section 2.2.2 says 5 to 30 s).
pub const REPLY_LIFETIME: Duration = Duration::from_secs(10);
/// Requests of one shard that wait for an answer. When full a new one is decided at once with `mdm.lookup = "late"`.
pub const PARKED_REQUESTS_MAX: usize = 16_384;
/// Rejects of one shard that wait for their delay. When full the oldest leaves early.
pub const DELAYED_REJECTS_MAX: usize = 8_192;
/// Questions that wait for the MDM worker: half of them about strangers, a quarter about known devices, a quarter for which
/// nobody waits. When one of these is full, the newest question of the client that has most of it leaves, and who waits for
/// it is told `throttled`; a client that has most itself is told so at once.
pub const QUESTIONS_QUEUED_MAX: usize = 65_536;
/// Answers that wait for one shard; the worker drops beyond it, and the request meets its deadline.
pub const ANSWERS_QUEUED_MAX: usize = 65_536;
/// MDM servers of one configuration.
pub const MDM_SERVERS_MAX: usize = 16;
/// Clients of one configuration.
pub const CLIENTS_MAX: usize = 100_000;
/// Groups of one client.
pub const CLIENT_GROUPS_MAX: usize = 64;
/// The longest time that an operator may give an answer: NASes give up after it.
pub const DECISION_DEADLINE_MAX: Duration = Duration::from_secs(30);
/// Datagrams that one system call takes or gives.
pub const BATCH_DATAGRAMS: usize = 64;
/// Shards of one server.
pub const SHARDS_MAX: usize = 256;

// --- sockets ---------------------------------------------------------------------------------------------------------

/// Listen addresses of both services together; every shard polls them all.
pub const LISTENERS_MAX: usize = 64;
/// Room that each socket asks the kernel for, in octets: some thousand requests, less than a NAS waits even for a slow
/// shard. When full the kernel drops, and counts.
pub const SOCKET_RECEIVE_OCTETS: usize = 4 * 1024 * 1024;
/// Replies that are signed side by side: a full batch of four listeners. What is due beyond that at one moment is signed in
/// parts.
pub const REPLIES_SIGNED_MAX: usize = 4 * BATCH_DATAGRAMS;
/// Replies that one shard collects before it sends them: all that can be due at one moment. More are lost, counted; the
/// client's retransmission then draws the stored reply.
pub const REPLIES_COLLECTED_MAX: usize = PARKED_REQUESTS_MAX + DELAYED_REJECTS_MAX + LISTENERS_MAX * BATCH_DATAGRAMS;
/// Octets of these replies: 16 MiB, which is nearly 600 for each. More are lost, counted.
pub const REPLIES_COLLECTED_OCTETS_MAX: usize = 16 * 1024 * 1024;
/// Octets of collected replies for which a shard keeps its memory after a burst.
pub const REPLIES_KEPT_OCTETS: usize = 256 * 1024;
/// The longest reply that is handed to the kernel together with others: shorter than the smallest MTU of IPv6 (RFC 8200
/// section 5), so that no link has to fragment it, which the kernel would not do then.
pub const SEGMENT_OCTETS_MAX: usize = 1_000;
/// How long a shard waits for room in a full send buffer before it counts replies as lost.
pub const SEND_PATIENCE: Duration = Duration::from_millis(5);
/// How long a shard leaves the timers of its machine alone after a bug in them, so that a bug that comes with every
/// call doesn't take the whole core from the packets.
pub const BUG_PAUSE: Duration = Duration::from_millis(100);

// --- devices ---------------------------------------------------------------------------------------------------------

/// Devices of one MDM server that are kept. When full the newest is not added, and counted.
pub const DEVICES_MAX: usize = 2_000_000;
/// Negative answers and answers about devices outside of the fleet. When full the least useful leaves.
pub const OUTSIDE_ANSWERS_MAX: usize = 262_144;
/// Different texts that a server told of itself for all requests to read. A further one is not taken.
pub const RARE_TEXTS_KEPT: usize = 16;
/// Texts that devices share: versions, models, … When full, and all are in use, a new one is not shared.
pub const SHARED_TEXTS_MAX: usize = 65_536;
/// Text of one fact of a device, in octets; longer ones are cut.
pub const DEVICE_TEXT_OCTETS_MAX: usize = 256;

// --- what survives a restart -----------------------------------------------------------------------------------------

/// Octets of the database; about 250 for a device, so that several full directories fit. When full nothing more is saved,
/// which is told and counted.
pub const STORE_OCTETS_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// Octets of one part of a directory; a full directory's parts have about 150 kB. A longer one in a file is damage.
pub const STORE_PART_OCTETS_MAX: usize = 16 * 1024 * 1024;
/// Servers whose devices are kept, those of earlier configurations included. When full the one that was saved longest ago
/// leaves.
pub const STORE_SERVERS_MAX: usize = 2 * MDM_SERVERS_MAX;
/// How often what changed is saved. What is lost when the machine dies is asked again.
pub const STORE_INTERVAL: Duration = Duration::from_secs(60);
/// For how long no request without Message-Authenticator may come from a client before radmit says that it can be
/// required.
pub const LEARN_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// Signed requests that must have come in that time: a client that is silent has shown nothing.
pub const LEARN_REQUESTS_MIN: u64 = 20;

// --- EAP -------------------------------------------------------------------------------------------------------------

/// EAP conversations that are open at once. When full a new one is refused and counted. A half-open one takes about
/// 12 kB, so this is about 200 MB of an attack's making.
pub const EAP_SESSIONS_MAX: usize = 16_384;
/// Of those, open with one client: one flooding access point leaves room for the others. Beyond it a new one is refused.
pub const EAP_SESSIONS_CLIENT_MAX: usize = 4_096;
/// How long a conversation waits for the device's next packet (RFC 3748 section 4.3 lets peers take long; people choose
/// certificates).
pub const EAP_IDLE_MAX: Duration = Duration::from_secs(60);
/// How long a conversation may take in all.
pub const EAP_TOTAL_MAX: Duration = Duration::from_secs(120);
/// Groups of clients with settings of their own for EAP.
pub const EAP_GROUPS_MAX: usize = 64;
/// Flights of handshakes that wait for each thread that computes them: more than any thread works off while one waits for
/// them. A flight beyond it is dropped, counted, and repeated by its device. One takes about 6 kB; a conversation has one
/// at a time, so that all of them are 100 MB at most.
pub const EAP_FLIGHTS_THREAD_MAX: usize = 8_192;
/// Work that waits for a thread before no new conversation is begun: it lasts until the devices that are let in next have
/// sent their flights, even by radio, and no client has grown impatient by then.
pub const EAP_WORK_WAITING_MAX: Duration = Duration::from_millis(250);
/// The same with the work that conversations still have to bring which were begun a short while ago: half of what
/// impatient clients wait before they repeat themselves.
pub const EAP_WORK_AHEAD_MAX: Duration = Duration::from_secs(1);
/// What computing a flight is held to take while none has been computed: slow, so that the first devices after a start
/// are few until it is known.
pub const EAP_FLIGHT_TIME_FIRST: Duration = Duration::from_millis(2);
/// The longest that computing a flight is held to take: more is a pause of the machine, and says nothing about the next.
pub const EAP_FLIGHT_TIME_MAX: Duration = Duration::from_millis(50);
/// Flights of a full handshake that take time to compute: the device's hello, and its certificate.
pub const EAP_FLIGHTS_OF_HANDSHAKE: usize = 2;
/// How long a conversation that was begun is expected to send its flights, at least; twice that at most. One that takes
/// longer is slow or lost, and keeps nobody waiting.
pub const EAP_FLIGHT_EXPECTED: Duration = Duration::from_millis(250);
/// EAP-Requests of one conversation. Deployed authenticators give up after 40 to 50 (RFC 9191 section 4).
pub const EAP_ROUNDS_MAX: u16 = 50;
/// Broken or unexpected EAP packets of one conversation (RFC 3579 section 2.2 recommends 5).
pub const EAP_INVALID_MAX: u8 = 5;
/// The longest EAP packet that we send: what IEEE 802.11 passes (RFC 3580 section 3.10).
pub const EAP_PACKET_OCTETS_MAX: usize = 1_496;
/// The shortest upper bound of an EAP packet that an operator or a client's Framed-MTU may ask for; a smaller Framed-MTU is
/// taken for nonsense.
pub const EAP_PACKET_OCTETS_MIN: usize = 100;
/// The longest identity (RFC 3748 section 5.1: 1,020 octets).
pub const EAP_IDENTITY_OCTETS_MAX: usize = 1_020;
/// One TLS flight of a device in all its fragments: a chain of four certificates with RSA 4096 has about 8 kB.
pub const TLS_MESSAGE_OCTETS_MAX: usize = 32 * 1024;
/// Certificates that a device may present: its own, four above it, and some that are not needed.
pub const TLS_CERTIFICATES_MAX: usize = 10;
/// Authorities between a device's certificate and a trusted one (RFC 9191 section 4.1.3).
pub const TLS_INTERMEDIATES_MAX: usize = 4;
/// Bits of an RSA key that we verify with: a longer one costs more than it protects.
pub const TLS_RSA_BITS_MAX: usize = 8_192;
/// Bits of an RSA key below which it proves nothing.
pub const TLS_RSA_BITS_MIN: usize = 2_048;
/// Sessions that can be resumed, of about 2.5 kB each. When full the oldest leaves: its device does a full handshake.
pub const TLS_RESUMPTIONS_MAX: usize = 32_768;
/// The longest lifetime of a session (RFC 8446 section 4.6.1: seven days).
pub const TLS_RESUMPTION_LIFETIME_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Names of authorities that are told to devices, so that they can choose a certificate. With more none is told: the
/// list would cost rounds.
pub const TLS_AUTHORITY_HINTS_MAX: usize = 16;
/// Certificates in one file of authorities.
pub const TLS_AUTHORITIES_MAX: usize = 1_000;
/// Alternative names of one certificate. A certificate with more is refused.
pub const CERTIFICATE_NAMES_MAX: usize = 64;
/// Octets of one name in a certificate. A certificate with a longer one is refused.
pub const CERTIFICATE_NAME_OCTETS_MAX: usize = 1_024;
/// Device ids that one certificate may name before the rest is only noted.
pub const CERTIFICATE_IDS_MAX: usize = 4;
/// Client certificates that `radmit certs` makes at once: a lab's worth.
pub const TEST_CERTIFICATES_MAX: usize = 1_000;

// --- the cloud -------------------------------------------------------------------------------------------------------

/// Octets of one page of a list. A page of 1,000 devices has about 1 MB.
pub const HTTP_ANSWER_OCTETS_MAX: usize = 16 * 1024 * 1024;
/// Octets of every other HTTP answer: a device, a token, a batch of 20. The largest known, discovery, has 100 kB.
pub const HTTP_SMALL_ANSWER_OCTETS_MAX: usize = 1024 * 1024;
/// Memory that is set aside for an HTTP answer because it says how long it will be. The rest comes as it does.
pub const HTTP_ANSWER_OCTETS_AHEAD: usize = 2 * 1024 * 1024;
/// Devices on one page of a list; Microsoft sends about 1,000. More is refused before it takes memory.
pub const LIST_ROWS_MAX: usize = 10_000;
/// Elements and texts in one XML answer; a page of 100 devices has about 1,500.
pub const XML_EVENTS_MAX: usize = 65_536;
/// Lookups of one server that run at a time. The budget lets through fewer, unless the cloud hangs.
pub const LOOKUPS_IN_FLIGHT_MAX: usize = 256;
/// Questions that wait for the thread of an inventory file. When full the request is decided at once as `throttled`.
pub const INVENTORY_QUESTIONS_MAX: usize = 4_096;
/// Credentials of one app: one, and its successor while they are exchanged.
pub const CREDENTIALS_MAX: usize = 2;
/// The shortest `compliance-max-age` with which used devices are kept fresh behind: below it each of them would be asked about
/// all the time, whether it comes back or not.
pub const REFRESHED_AGE_MIN: Duration = Duration::from_secs(3);
/// The longest that one call may take. Answers that come too late for their request are still good for the next one.
pub const CALL_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// The longest that one page of a list may take: Graph is slow at large tenants.
pub const LIST_CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest wish of a `Retry-After` that is obeyed; a longer one is a mistake or an attack.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Pages of one list: at 100 devices a page this is two million devices. More is a loop.
pub const LIST_PAGES_MAX: usize = 20_000;

// --- the simulated cloud ---------------------------------------------------------------------------------------------

/// Faults that are switched on at once. One more is refused.
pub const SIM_FAULTS_MAX: usize = 256;
/// Requests in the sliding window of the simulated limit. When full the oldest is forgotten.
pub const SIM_WINDOW_REQUESTS_MAX: usize = 200_000;
/// Calls that are remembered for tests to look at. When full the oldest is forgotten.
pub const SIM_CALLS_KEPT_MAX: usize = 1_000;
/// Tokens that are valid at once. When full the oldest stops being valid.
pub const SIM_TOKENS_MAX: usize = 10_000;
/// Connections at once. When full the next one waits.
pub const SIM_CONNECTIONS_MAX: usize = 1_024;
/// Octets of one request's body: a device file on the control path is the longest.
pub const SIM_REQUEST_OCTETS_MAX: usize = FILE_OCTETS_MAX;
/// Parts of one batch (Microsoft Graph, JSON batching).
pub const GRAPH_BATCH_PARTS_MAX: usize = 20;

// --- the load generator ----------------------------------------------------------------------------------------------

/// Threads of `radmit bench`; a machine with more cores runs several of them.
pub const BENCH_THREADS_MAX: usize = 64;
/// Source ports of `radmit bench`: a million Identifiers, more than any server keeps waiting. Each is a descriptor; most systems
/// give 1,024 without being asked, and more after `ulimit -n`.
pub const BENCH_SOCKETS_MAX: usize = 4_096;
/// Room that each of them asks the kernel for, in octets: an answer to every Identifier, with the kernel's bookkeeping.
pub const BENCH_RECEIVE_OCTETS: usize = 1024 * 1024;
/// The longest run. Its timeline has a row for each second.
pub const BENCH_DURATION_MAX: Duration = Duration::from_secs(24 * 3600);
/// The longest wait for an answer.
pub const BENCH_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// The most retransmissions of one request: no NAS has more patience.
pub const BENCH_RETRIES_MAX: u32 = 10;
/// The most requests a second that can be asked for; no machine makes them.
pub const BENCH_RATE_MAX: f64 = 1e8;
/// How long nothing new is sent after the system did not take a request: what it lacks is not there at once.
pub const BENCH_SEND_PAUSE: Duration = Duration::from_millis(10);
/// Requests with a wrong Message-Authenticator before a run, and as many after it: some may be lost under load.
pub const BENCH_FORGED_REQUESTS: usize = 3;
/// How long answers to them are waited for at least; longer, if the load waited longer for its own.
pub const BENCH_FORGED_PATIENCE_MIN: Duration = Duration::from_millis(100);
/// Seconds of the timeline that wait for whoever is told of them. When full the load waits.
pub const BENCH_SECONDS_QUEUED_MAX: usize = 64;
/// Rows of a timeline: the longest run, and the longest wait for its last answers.
pub const BENCH_ROWS_MAX: usize = 24 * 3600 + 60 * 11 + 60;

// --- the log ---------------------------------------------------------------------------------------------------------

/// Octets of lines of one shard that wait to be written: some 3,000 decisions. When full the new event is lost and counted;
/// accounting is then not acknowledged. The longest accounting record (4096 octets, each escaped) fits several times.
pub const LOG_BUFFER_OCTETS: usize = 2 * 1024 * 1024;
/// How long a line waits for company before it is written: short for whoever watches, long for the system calls.
pub const LOG_DELAY: Duration = Duration::from_millis(50);
/// Lines about unknown or broken senders in one interval of [`DROP_LOG_INTERVAL`]; the rest is counted.
pub const DROP_LOG_LINES_MAX: usize = 10;
/// How often the counted drops are told.
pub const DROP_LOG_INTERVAL: Duration = Duration::from_secs(10);
/// Different senders of drops that are told apart in one interval.
pub const DROP_LOG_SENDERS_MAX: usize = 256;

// --- the pages for monitoring ----------------------------------------------------------------------------------------

/// Connections to the pages at once: several Prometheus servers and somebody with a browser. When full the one that has been
/// idle longest leaves for the next; if none is, the next one waits.
pub const HTTP_CONNECTIONS_MAX: usize = 64;
/// How long a connection to the pages may last. Whoever scrapes opens a new one then.
pub const HTTP_CONNECTION_LIFETIME: Duration = Duration::from_secs(60);
/// How long a request to the pages may take to arrive. None has more than some hundred octets.
pub const HTTP_REQUEST_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a connection to the pages stays open without a request, or without taking more of its answer.
pub const HTTP_IDLE_MAX: Duration = Duration::from_secs(10);

const _: () =
    assert!(ATTRIBUTES_MAX * 2 + HEADER_OCTETS <= PACKET_OCTETS_MAX, "the attribute bound is below the packet's");
const _: () = assert!(VALUE_OCTETS_MAX == 255 - 2, "the length octet counts type and length");
const _: () = assert!(REPLY_LIFETIME.as_secs() >= 5 && REPLY_LIFETIME.as_secs() <= 30, "RFC 5080 section 2.2.2");
const _: () = assert!(BATCH_DATAGRAMS <= 1024, "UIO_MAXIOV");
const _: () = assert!(BATCH_DATAGRAMS <= 64, "UDP_MAX_SEGMENTS of the kernel");
const _: () = assert!(BATCH_DATAGRAMS * SEGMENT_OCTETS_MAX <= 65_000, "a row of segments is one IP packet at first");
const _: () = assert!(SHARDS_MAX <= 256, "an Identifier has 256 values; more shards would never see one");
const _: () = assert!(LISTENERS_MAX <= u16::MAX as usize, "a listener is numbered with 16 bits");
const _: () = assert!(REPLIES_COLLECTED_OCTETS_MAX <= u32::MAX as usize, "places of replies are kept in 32 bits");
const _: () =
    assert!(REPLIES_KEPT_OCTETS >= BATCH_DATAGRAMS * PACKET_OCTETS_MAX, "one batch of the longest replies fits");
const _: () = assert!(
    EAP_WORK_WAITING_MAX.as_nanos() < EAP_WORK_AHEAD_MAX.as_nanos(),
    "who has begun finds room when nobody may"
);
const _: () = assert!(EAP_IDLE_MAX.as_secs() <= EAP_TOTAL_MAX.as_secs(), "idle is a part of the whole");
const _: () =
    assert!(EAP_PACKET_OCTETS_MAX + 400 <= PACKET_OCTETS_MAX, "an EAP packet leaves room for other attributes");
const _: () = assert!(2 * BENCH_FORGED_REQUESTS <= 256, "each has an Identifier of its own");
const _: () = assert!(PASSWORD_OCTETS_MAX.is_multiple_of(16), "a password is hidden in blocks of 16");
const _: () = assert!(LOG_BUFFER_OCTETS >= 32 * PACKET_OCTETS_MAX, "a line about any packet fits");
