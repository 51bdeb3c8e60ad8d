//! Proving who asks: every kind of credential, renewal, refusal.

use std::path::PathBuf;

use radmit::sim::{Fault, FaultKind, Surface, Surfaces};

use super::*;

async fn asks_with(credential: impl FnOnce(&Sim) -> Credential) -> (World, Outcome) {
    let sim = start_sim(Fleet::demo()).await;
    let credential = credential(&sim);
    let world = World::of(
        sim,
        |intune| {
            intune.polling_interval = Duration::ZERO;
            intune.incremental_interval = Duration::ZERO;
            intune.lookup = vec![Api::Graph];
            intune.credential = credential;
        },
        |_| {},
    );
    let outcome = world.ask(device(LT_0042)).await;
    (world, outcome)
}

fn certificates(pairs: Vec<CertificatePair>, assertion: Assertion) -> Credential {
    Credential::Certificate { pairs, assertion }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_credential_gets_a_token() {
    let file = scratch("federated-token");
    std::fs::write(&file, format!("{FEDERATED}\n")).expect("it can be written");
    let pair = || application().pair.clone();
    type MakeCredential = Box<dyn FnOnce(&Sim) -> Credential>;
    let kinds: Vec<MakeCredential> = vec![
        Box::new(move |_| certificates(vec![pair()], Assertion::Ps256)),
        Box::new(move |_| certificates(vec![pair()], Assertion::Rs256)),
        Box::new(|_| Credential::Secret(SecretText::fixed(SECRET.to_owned().into()))),
        Box::new(move |_| Credential::FederatedTokenFile(file)),
        Box::new(|sim| Credential::ManagedIdentity { url: Some(sim.base_url.clone()), client_id: None }),
    ];
    for (at, kind) in kinds.into_iter().enumerate() {
        let (_world, outcome) = asks_with(kind).await;
        assert_eq!(found(outcome).intune_id, intune_id(LT_0042), "credential {at}");
    }
}

fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("radmit-suite-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    folder.join(name)
}

/// Trap 21: while certificates are exchanged, either may be the one that Entra knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_certificate_is_tried_when_the_first_is_not_known_to_entra() {
    let pairs = vec![new_application().pair, application().pair.clone()];
    let (world, outcome) = asks_with(|_| certificates(pairs, Assertion::Ps256)).await;
    assert_eq!(found(outcome).intune_id, intune_id(LT_0042));
    assert_eq!(world.cloud().statistics().of(Surface::Token).refused, 1);
    assert!(world.metrics.credential_expiry.value() > 0);
}

/// Trap 21: that Entra knows the first certificate no more is no reason to call it a mistake when it throttles the second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttling_of_the_second_certificate_is_not_told_as_a_mistake() {
    let pairs = vec![new_application().pair, application().pair.clone()];
    let throttle = |kind| Fault::new(Surfaces::of(Surface::Token), kind).after(1);
    for (fault, expected) in [
        (throttle(FaultKind::Throttle), Failure::Throttled),
        (Fault { status: 503, ..throttle(FaultKind::Status) }, Failure::Unreachable),
    ] {
        let pairs = pairs.clone();
        let (world, outcome) = asks_with(|sim| {
            sim.cloud().add_fault(fault);
            certificates(pairs, Assertion::Ps256)
        })
        .await;
        assert_eq!(failure(&outcome), Some(expected));
        assert_eq!(world.cloud().statistics().of(Surface::Token).requests, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_credential_is_misconfigured() {
    let (_world, outcome) =
        asks_with(|_| Credential::Secret(SecretText::fixed("the secret's id in place of its value".to_owned().into())))
            .await;
    assert_eq!(failure(&outcome), Some(Failure::Misconfigured));
}

/// Trap 19: many questions at once fetch one token, and a refused one is replaced once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_fetched_once_and_replaced_once_when_refused() {
    let world = World::quiet_graph().await;
    // All of them want a token before there is one.
    world.cloud().add_fault(Fault::delay(Surfaces::of(Surface::Token), Duration::from_millis(300)));
    for number in 0..12 {
        let key = format!("5b1f0c52-7d1e-4a39-9a3b-2f6f0a9dff{number:02}");
        world.put(device(&key), Medium::Wired).expect("it can be asked");
    }
    for _ in 0..12 {
        world.answer().await;
    }
    assert_eq!(world.cloud().statistics().tokens_issued, 1);
    world.cloud().expire_tokens();
    assert_eq!(found(world.ask(device(LT_0043)).await).intune_id, intune_id(LT_0043));
    assert_eq!(world.cloud().statistics().tokens_issued, 2);
}

/// Trap 19: a token that lives for a minute only serves more than one call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_lived_token_is_not_fetched_for_each_call() {
    let sim = start_sim(Fleet::demo()).await;
    sim.cloud().set_token_lifetime(Duration::from_secs(60));
    let world = World::of(
        sim,
        |intune| {
            intune.polling_interval = Duration::ZERO;
            intune.incremental_interval = Duration::ZERO;
            intune.lookup = vec![Api::Graph];
        },
        |_| {},
    );
    for _ in 0..5 {
        found(world.ask(device(LT_0042)).await);
    }
    assert_eq!(world.cloud().statistics().tokens_issued, 1);
}

/// Trap 19: a token is renewed ahead of its end by one call, and the old one is served meanwhile, however long that takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_token_is_served_while_its_successor_is_on_its_way() {
    let sim = start_sim(Fleet::demo()).await;
    sim.cloud().set_token_lifetime(Duration::from_secs(5));
    let world = World::of(
        sim,
        |intune| {
            intune.polling_interval = Duration::ZERO;
            intune.incremental_interval = Duration::ZERO;
            intune.lookup = vec![Api::Graph];
        },
        |_| {},
    );
    found(world.ask(device(LT_0042)).await);
    world.cloud().add_fault(Fault::new(Surfaces::of(Surface::Token), FaultKind::Hang));
    let requests = || world.cloud().statistics().of(Surface::Token).requests;
    until("the renewal", || requests() == 2).await;
    for key in [LT_0042, LT_0043, LT_0042_ENTRA] {
        found(world.ask(device(key)).await);
    }
    assert_eq!(requests(), 2, "one is on its way, nobody sends another");
}

/// Trap 23: the older token endpoint writes numbers as texts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_token_endpoint_serves_too() {
    let sim = start_sim(Fleet::demo()).await;
    let older = sim.token_url().replace("/oauth2/v2.0/token", "/oauth2/token");
    assert_ne!(older, sim.token_url());
    let world = World::of(
        sim,
        |intune| {
            intune.polling_interval = Duration::ZERO;
            intune.incremental_interval = Duration::ZERO;
            intune.token_url = Some(older);
        },
        |_| {},
    );
    // Both audiences, each several times by the same token.
    for _ in 0..3 {
        found(world.ask(device(LT_0043)).await);
        found(world.ask_on(mac(ETHERNET), Medium::Wired).await);
    }
    assert_eq!(world.cloud().statistics().tokens_issued, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_always_refused_is_misconfigured_and_not_asked_for_ever() {
    let world = World::quiet_graph().await;
    world.cloud().add_fault(Fault::new(Surfaces::GRAPH, FaultKind::ExpiredToken));
    assert_eq!(failure(&world.ask(device(LT_0042)).await), Some(Failure::Misconfigured));
    let statistics = world.cloud().statistics();
    assert_eq!((statistics.tokens_issued, statistics.of(Surface::Device).requests), (2, 2));
}

/// Trap 8: Entra's throttling has a text for a body.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttling_by_entra_is_throttled() {
    let world = World::quiet_graph().await;
    world.cloud().add_fault(Fault::new(Surfaces::of(Surface::Token), FaultKind::Throttle));
    assert_eq!(failure(&world.ask(device(LT_0042)).await), Some(Failure::Throttled));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_entra_does_not_hurt_while_a_token_lives() {
    let world = World::quiet_graph().await;
    found(world.ask(device(LT_0042)).await);
    world.cloud().add_fault(Fault::new(Surfaces::of(Surface::Token), FaultKind::Reset));
    found(world.ask(device(LT_0043)).await);
}

/// Trap 28: the simulated cloud refuses a token of the other audience, so two are fetched where both are asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_audience_has_a_token_of_its_own() {
    let world = World::quiet().await;
    found(world.ask_on(mac(ETHERNET), Medium::Wired).await);
    let statistics = world.cloud().statistics();
    assert_eq!(statistics.tokens_issued, 2);
    assert_eq!(statistics.of(Surface::Device).refused + statistics.of(Surface::Compliance).refused, 0);
}

/// Trap 27: whatever is logged, by us or by the crates below, holds no token, no secret and no device.
#[tokio::test]
async fn nothing_secret_reaches_the_log() {
    let log = Log::default();
    let _here = log.listen(tracing::Level::TRACE);
    let world = World::quiet_graph().await;
    found(world.ask(device(LT_0042)).await);
    world.cloud().add_fault(Fault::new(Surfaces::GRAPH, FaultKind::NoPermission));
    assert_eq!(failure(&world.ask(device(LT_0042)).await), Some(Failure::Misconfigured));
    let text = log.text();
    assert!(text.contains("grant admin consent"), "the reason is told");
    let ours: String = text.lines().filter(|line| line.contains("radmit")).collect();
    for secret in [SECRET, "eyJ", "client_secret=", LT_0042] {
        assert!(!ours.contains(secret), "{secret}");
    }
    assert!(!text.contains(SECRET) && !text.contains("client_secret="), "not even at the level of octets");
}

/// Trap 20: a clock that is off is told before assertions fail, once for many answers.
#[tokio::test]
async fn a_wrong_clock_reaches_the_log_once() {
    let log = Log::default();
    let _here = log.listen(tracing::Level::INFO);
    let world = World::quiet_graph().await;
    world.cloud().set_skew_secs(-120);
    for _ in 0..3 {
        found(world.ask(device(LT_0042)).await);
    }
    let told: Vec<String> = log.text().lines().filter(|line| line.contains("NTP")).map(str::to_owned).collect();
    assert!(told.len() == 1 && told[0].contains("WARN") && told[0].contains("12"), "{told:#?}");
    assert!((118..=122).contains(&world.metrics.clock_offset.value()));
}

#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    /// Writes down what is logged on this thread, on which everything of the test runs.
    fn listen(&self, level: tracing::Level) -> tracing::subscriber::DefaultGuard {
        // As long as there is a single listener, a line that another thread comes to first is switched off for all of them.
        static SECOND: OnceLock<tracing::Dispatch> = OnceLock::new();
        SECOND.get_or_init(|| tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish()));
        let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(self.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("nobody panics with it")).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics with it").extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
