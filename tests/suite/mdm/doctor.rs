//! "Test connection" and the live lookup of the command line.

use radmit::{
    mdm::{
        doctor::{self, Check, State},
        live,
        settings::Proxy,
    },
    sim::{Fault, FaultKind, Surface, Surfaces},
};

use super::*;

async fn examined(sim: &Sim, change: impl FnOnce(&mut Intune), sample: Option<Key>) -> Vec<Check> {
    let mut intune = intune_of(sim);
    intune.credential =
        Credential::Certificate { pairs: vec![application().pair.clone()], assertion: Assertion::Ps256 };
    change(&mut intune);
    doctor::examine(&Settings::new("corp", Kind::Intune(Box::new(intune))), sample).await
}

fn bad(checks: &[Check]) -> Vec<String> {
    checks.iter().filter(|check| check.state == State::Bad).map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_is_well_every_line_is_green() {
    let sim = start_sim(Fleet::demo()).await;
    let checks = examined(&sim, |_| {}, Some(mac(ETHERNET))).await;
    let not_green: Vec<_> = checks.iter().filter(|check| check.state != State::Good).collect();
    assert!(not_green.is_empty(), "{not_green:#?}");
    let last = checks.last().expect("there are lines").to_string();
    assert_eq!(last, "ok       sample lookup: LT-0042 is compliant, found by MAC address");
    let way = checks.iter().find(|check| check.subject == "way to Graph").expect("it is looked at");
    assert!(way.finding.contains("its certificate is from"), "{}", way.finding);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interface_that_is_left_out_is_no_warning() {
    for (api, left_out) in
        [(Api::Graph, "lookup leaves compliance retrieval out"), (Api::ComplianceRetrieval, "lookup leaves Graph out")]
    {
        let sim = start_sim(Fleet::demo()).await;
        let checks = examined(&sim, |intune| intune.lookup = vec![api], None).await;
        let last = checks.last().expect("there are lines");
        assert!(last.state == State::Good && last.finding.contains(left_out), "{last}");
        assert!(!last.finding.contains("grant"), "{last}");
    }
}

/// Trap 7: a token is issued without any permission; only a call shows which one is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_missing_permission_is_named() {
    let cases = [
        (Surfaces::of(Surface::List), "DeviceManagementManagedDevices.Read.All"),
        (Surfaces::of(Surface::Discovery), "ServicePrincipalEndpoint.Read.All"),
        (Surfaces::of(Surface::Compliance), "get_device_compliance"),
    ];
    for (surfaces, permission) in cases {
        let sim = start_sim(Fleet::demo()).await;
        sim.cloud().add_fault(Fault::new(surfaces, FaultKind::NoPermission));
        let bad = bad(&examined(&sim, |_| {}, None).await);
        assert!(bad.iter().any(|line| line.contains(permission)), "{permission}: {bad:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_says_what_to_do() {
    let sim = start_sim(Fleet::demo()).await;
    let wrong = Credential::Secret(SecretText::fixed("wrong".to_owned().into()));
    let bad = bad(&examined(&sim, |intune| intune.credential = wrong, None).await);
    assert!(bad.iter().any(|line| line.contains("configure the secret's value, not its id")), "{bad:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_nobody_trusted_is_told_with_its_issuer() {
    let (sim, other) = (start_sim(Fleet::demo()).await, start_sim(Fleet::demo()).await);
    let checks = examined(&sim, |intune| intune.trust.anchors = vec![pem(&other.ca_pem)], None).await;
    let bad = bad(&checks);
    assert!(bad.iter().any(|line| line.contains("add that root to trust-anchors")), "{bad:#?}");
}

/// Trap 20: assertions have times in them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_is_told() {
    let sim = start_sim(Fleet::demo()).await;
    sim.cloud().set_skew_secs(-400);
    let checks = examined(
        &sim,
        |intune| intune.credential = Credential::Secret(SecretText::fixed(SECRET.to_owned().into())),
        None,
    )
    .await;
    let clock = checks.iter().find(|check| check.subject == "clock").expect("it is looked at");
    assert!(clock.state == State::Bad && clock.finding.contains("NTP"), "{clock}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_not_there_is_told() {
    let sim = start_sim(Fleet::demo()).await;
    // Loopback is never asked through a proxy, so the real cloud's names stand here; nobody is asked but the proxy.
    let change = |intune: &mut Intune| {
        (intune.token_url, intune.graph_url) = (None, None);
        intune.proxy = Some(Proxy::new("http://127.0.0.1:1"));
    };
    let bad = bad(&examined(&sim, change, None).await);
    assert!(bad.iter().any(|line| line.contains("check proxy")), "{bad:#?}");
}

/// Trap 20: without any answer nothing is known about the clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_nobody_could_be_compared_with_is_not_right() {
    let sim = start_sim(Fleet::demo()).await;
    sim.cloud().add_fault(Fault::new(Surfaces::ALL, FaultKind::Reset));
    let checks = examined(&sim, |_| {}, None).await;
    let clock = checks.iter().find(|check| check.subject == "clock").expect("it is looked at");
    assert_eq!(clock.state, State::Skipped, "{clock}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_lookup_says_which_query_found_the_device() {
    let sim = start_sim(Fleet::demo()).await;
    let cases = [
        (device(LT_0042), Api::Graph, "Intune id"),
        (device(LT_0042_ENTRA), Api::Graph, "Entra id"),
        (mac(WIFI), Api::ComplianceRetrieval, "MAC address"),
    ];
    for (key, api, name) in cases {
        let settings = Settings::new("corp", Kind::Intune(Box::new(intune_of(&sim))));
        let answer = live::look_up(&settings, key).await.expect("the settings are right");
        assert_eq!((answer.api, answer.found_by), (Some(api), Some(name)), "{key:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_compliance_retrieval_a_live_lookup_searches_the_list() {
    let sim = start_sim(Fleet::demo()).await;
    let intune = Intune { lookup: vec![Api::Graph], ..intune_of(&sim) };
    let settings = Settings::new("corp", Kind::Intune(Box::new(intune)));
    let answer = live::look_up(&settings, mac(WIFI)).await.expect("the settings are right");
    assert_eq!(found(answer.outcome).intune_id, intune_id(LT_0042));
}

/// Trap 15: the server would not choose between them either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_lookup_tells_two_devices_with_one_mac_as_ambiguous() {
    let sim = start_sim(Fleet::demo()).await;
    let twin = |id: &str, serial: Option<&str>, ago_secs: u64| {
        let mut twin = sim.cloud().device(intune_id(LT_0042)).expect("it is in the fleet");
        twin.intune_id = intune_id(id);
        twin.last_check_in = Some(radmit::device::file::CheckIn::Ago(Duration::from_secs(ago_secs)));
        if let Some(serial) = serial {
            twin.details.serial = Some(serial.into());
        }
        sim.cloud().add_device(twin);
    };
    let asked = || async {
        let intune = Intune { lookup: vec![Api::Graph], ..intune_of(&sim) };
        let settings = Settings::new("corp", Kind::Intune(Box::new(intune)));
        live::look_up(&settings, mac(WIFI)).await.expect("the settings are right").outcome
    };
    // One machine that was enrolled again: the newest row.
    twin(NOBODY, None, 1);
    assert_eq!(found(asked().await).intune_id, intune_id(NOBODY));
    // Another machine.
    twin("5b1f0c52-7d1e-4a39-9a3b-2f6f0a9daaaa", Some("SN-of-another"), 1);
    assert!(matches!(asked().await, Outcome::Ambiguous));
}
