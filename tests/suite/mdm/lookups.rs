//! One lookup: by every name, with every answer.

use radmit::sim::{Fault, FaultKind, OldUnit, Surface, Surfaces};

use super::*;
use radmit::device::{
    directory::Match,
    record::{Compliance, Origin},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_found_by_its_intune_id_with_its_ethernet_address() {
    let world = World::quiet_graph().await;
    let record = found(world.ask(device(LT_0042)).await);
    assert_eq!(
        (record.intune_id, record.compliance, record.origin),
        (intune_id(LT_0042), Compliance::Compliant, Origin::Lookup)
    );
    assert_eq!(record.details.device_name.as_deref(), Some("LT-0042"));
    assert!(record.ethernet_mac.is_some() && record.ethernet_told);
    assert!(matches!(world.judge(mac(ETHERNET), Medium::Wired), Knowledge::Fresh { .. }));
}

/// Trap 4: a certificate may carry the Intune id or the Entra id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_found_by_its_entra_id_and_asked_by_its_intune_id_from_then_on() {
    let world = World::quiet_graph().await;
    let record = found(world.ask(device(LT_0042_ENTRA)).await);
    assert_eq!((record.intune_id, record.entra_id), (intune_id(LT_0042), Some(EntraId(guid(LT_0042_ENTRA)))));
    found(world.ask(device(LT_0042_ENTRA)).await);
    let statistics = world.cloud().statistics();
    assert_eq!((statistics.of(Surface::Device).requests, statistics.of(Surface::Search).requests), (2, 1));
}

fn guid(text: &str) -> Guid {
    Guid::parse(text.as_bytes()).expect("it is one")
}

/// Trap 11: neither the Intune id nor the Entra id is known: a positive no, believed for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_nobody_knows_is_not_found_and_remembered_as_such() {
    let world = World::quiet_graph().await;
    assert!(matches!(world.ask(device(NOBODY)).await, Outcome::NotFound));
    assert!(matches!(world.judge(device(NOBODY), Medium::Wired), Knowledge::NotRegistered));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_removed_is_forgotten_at_its_own_not_found_only() {
    let world = World::quiet_graph().await;
    found(world.ask(device(LT_0042)).await);
    world.cloud().remove_device(intune_id(LT_0042));
    assert!(matches!(world.ask(mac(WIFI)).await, Outcome::Failed(Failure::NotReady)));
    assert!(world.directory.find(intune_id(LT_0042)).is_none());
}

/// Trap 1: Graph ignores filters it does not know and returns everybody; so it is never asked by MAC address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graph_is_never_asked_by_mac_address() {
    let world = World::quiet_graph().await;
    assert!(matches!(world.ask(mac(STRANGE_MAC)).await, Outcome::Failed(Failure::NotReady)));
    assert_eq!(world.cloud().statistics().requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mac_that_is_not_in_the_index_is_asked_from_compliance_retrieval() {
    let world = World::quiet().await;
    let record = found(world.ask_on(mac(ETHERNET), Medium::Wired).await);
    assert_eq!(record.intune_id, intune_id(LT_0042));
    // Graph comes first here, so it gave the other facts.
    assert_eq!(record.details.device_name.as_deref(), Some("LT-0042"));
    assert!(matches!(world.ask(mac(STRANGE_MAC)).await, Outcome::NotFound));
    assert!(matches!(world.judge(mac(STRANGE_MAC), Medium::Wired), Knowledge::NotRegistered));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compliance_retrieval_alone_tells_compliance_alone() {
    let world = World::with(Fleet::demo(), |intune| {
        intune.lookup = vec![Api::ComplianceRetrieval];
        intune.polling_interval = Duration::ZERO;
    })
    .await;
    let record = found(world.ask(device(LT_0043)).await);
    assert_eq!((record.compliance, record.details.os.as_deref()), (Compliance::NonCompliant, None));
    let record = found(world.ask(mac(WIFI)).await);
    assert_eq!(record.compliance, Compliance::Compliant);
    assert!(matches!(world.judge(mac(WIFI), Medium::Wireless), Knowledge::Fresh { .. }));
    assert!(matches!(world.ask(device(NOBODY)).await, Outcome::NotFound));
    assert_eq!(world.cloud().statistics().of(Surface::Device).requests, 0);
}

/// Trap 11: three ways to say no, and none of them is an outage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_of_compliance_retrieval_to_say_no_is_a_no() {
    for kind in [None, Some(FaultKind::UnknownIs404), Some(FaultKind::UnknownIsUnregistered), Some(FaultKind::OldXml)] {
        let world = World::with(Fleet::demo(), |intune| {
            intune.lookup = vec![Api::ComplianceRetrieval];
            intune.polling_interval = Duration::ZERO;
        })
        .await;
        if let Some(kind) = kind {
            world.cloud().add_fault(Fault::new(Surfaces::of(Surface::Compliance), kind));
        }
        assert!(matches!(world.ask(device(NOBODY)).await, Outcome::NotFound), "{kind:?}");
        assert!(matches!(world.ask(mac(STRANGE_MAC)).await, Outcome::NotFound), "{kind:?}");
    }
}

/// Trap 5: the tenant moves to another scale unit, and the old one says 404 to everything: nobody is unregistered by that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_scale_unit_never_unregisters_anybody() {
    for old in [OldUnit::NotFound, OldUnit::Silent] {
        let world = World::with(Fleet::demo(), |intune| {
            intune.lookup = vec![Api::ComplianceRetrieval];
            intune.polling_interval = Duration::ZERO;
        })
        .await;
        // It answered a moment ago, and that must not count for what the old unit says now.
        found(world.ask(device(LT_0042)).await);
        world.cloud().move_scale_unit(old);
        let mut tries = 0;
        loop {
            match world.ask(device(LT_0042)).await {
                Outcome::Found(_) => break,
                outcome => assert_eq!(failure(&outcome), Some(Failure::Unreachable), "{old:?}"),
            }
            tries += 1;
            assert!(tries < 5, "the new scale unit is found");
        }
        assert!(matches!(world.ask(device(NOBODY)).await, Outcome::NotFound), "{old:?}");
    }
}

/// Trap 5: the old unit's 404 to one lookup comes when another lookup has found the new unit already: what the new one
/// answers proves nothing about it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_404_of_the_old_scale_unit_is_not_proven_by_the_new_one() {
    for late in [device(LT_0043), mac(WIFI)] {
        let world = World::with(Fleet::demo(), |intune| {
            intune.lookup = vec![Api::ComplianceRetrieval];
            intune.polling_interval = Duration::ZERO;
        })
        .await;
        found(world.ask(device(LT_0042)).await);
        found(world.ask(device(LT_0043)).await);
        world.cloud().move_scale_unit(OldUnit::NotFound);
        let asked_before = world.cloud().statistics().of(Surface::Compliance).requests;
        let delay = Fault::delay(Surfaces::of(Surface::Compliance), Duration::from_millis(700));
        world.cloud().add_fault(delay.times(1));
        world.put(late, Medium::Wireless).expect("it can be asked");
        until("the first call", || world.cloud().statistics().of(Surface::Compliance).requests > asked_before).await;
        // The old unit is found out and dropped while its answer to the first question is on its way.
        assert_eq!(failure(&world.ask(device(LT_0042)).await), Some(Failure::Unreachable), "{late:?}");
        found(world.ask(device(LT_0042)).await);
        found(world.answer().await.outcome);
        assert!(world.directory.find(intune_id(LT_0043)).is_some(), "{late:?}");
    }
}

/// Trap 5: 421 says that this is the wrong place, and so does a connection that breaks: it is searched anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_misdirected_request_makes_discovery_be_asked_again() {
    let misdirected = Fault::status(Surfaces::of(Surface::Compliance), 421);
    let cut = Fault::new(Surfaces::of(Surface::Compliance), FaultKind::Reset);
    for fault in [misdirected, cut] {
        let world = World::with(Fleet::demo(), |intune| {
            intune.lookup = vec![Api::ComplianceRetrieval];
            intune.polling_interval = Duration::ZERO;
        })
        .await;
        found(world.ask(device(LT_0042)).await);
        found(world.ask(device(LT_0043)).await);
        assert_eq!(world.cloud().statistics().of(Surface::Discovery).requests, 1);
        world.cloud().add_fault(fault.times(1));
        assert_eq!(failure(&world.ask(device(LT_0042)).await), Some(Failure::Unreachable), "{:?}", fault.kind);
        found(world.ask(device(LT_0042)).await);
        assert_eq!(world.cloud().statistics().of(Surface::Discovery).requests, 2, "{:?}", fault.kind);
    }
}

/// Trap 16: a dock lends its address to every device that stands in it: of two that carry it neither is chosen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_two_devices_carry_admits_neither() {
    let world = World::quiet_graph().await;
    let dock = world.cloud().device(intune_id(LT_0042)).and_then(|device| device.ethernet_mac);
    assert!(world.cloud().change_device(intune_id(LT_0043), clock::now().wall, |device| device.ethernet_mac = dock));
    assert!(world.cloud().change_device(intune_id(LT_0042), clock::now().wall, |_| {}));
    found(world.ask(device(LT_0042)).await);
    assert_eq!(found(world.ask_on(mac(ETHERNET), Medium::Wired).await).intune_id, intune_id(LT_0042));
    found(world.ask(device(LT_0043)).await);
    assert!(matches!(world.ask_on(mac(ETHERNET), Medium::Wired).await, Outcome::Ambiguous));
    assert!(matches!(world.judge(mac(ETHERNET), Medium::Wired), Knowledge::Ambiguous));
    // Neither is worse known for it by its own id.
    assert!(matches!(world.judge(device(LT_0042), Medium::Wired), Knowledge::Fresh { .. }));
}

/// Trap 16: an address that nobody can own is asked from nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_names_nobody_is_never_sent() {
    let world = World::quiet().await;
    for text in ["00-00-00-00-00-00", "FF-FF-FF-FF-FF-FF", "01-00-5E-00-00-01"] {
        assert!(matches!(world.ask(mac(text)).await, Outcome::NotFound), "{text}");
    }
    assert_eq!(world.cloud().statistics().of(Surface::Compliance).requests, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_interface_is_asked_when_the_first_can_not_answer() {
    let world = World::quiet().await;
    found(world.ask(device(LT_0043)).await);
    world.cloud().add_fault(Fault::status(Surfaces::GRAPH, 503));
    let record = found(world.ask(device(LT_0043)).await);
    assert_eq!((record.compliance, record.details.os.as_deref()), (Compliance::NonCompliant, None));
    assert_eq!(record.wifi_mac, MacAddress::parse(b"A4-C3-F0-11-22-34"), "names are kept");
    // Its no is none where the id may be Entra's, which only Graph knows.
    assert_eq!(failure(&world.ask(device(NOBODY)).await), Some(Failure::Unreachable));
}

/// Trap 15: after a new enrolment the Entra id belongs to another Intune id, and the no to the old one is not its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_to_an_old_intune_id_is_no_answer_to_an_entra_id() {
    let world = World::with(Fleet::demo(), |intune| {
        intune.lookup = vec![Api::ComplianceRetrieval, Api::Graph];
        intune.polling_interval = Duration::ZERO;
        intune.incremental_interval = Duration::ZERO;
    })
    .await;
    assert_eq!(found(world.ask(device(LT_0042_ENTRA)).await).intune_id, intune_id(LT_0042));
    let mut again = world.cloud().device(intune_id(LT_0042)).expect("it is in the fleet");
    again.intune_id = intune_id(NOBODY);
    world.cloud().remove_device(intune_id(LT_0042));
    world.cloud().add_device(again);
    // While Graph can't tell, nobody can.
    world.cloud().add_fault(Fault::status(Surfaces::GRAPH, 503).times(1));
    assert_eq!(failure(&world.ask(device(LT_0042_ENTRA)).await), Some(Failure::Unreachable));
    assert_eq!(found(world.ask(device(LT_0042_ENTRA)).await).intune_id, intune_id(NOBODY));
    assert!(world.directory.find(intune_id(LT_0042)).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_is_not_asked_twice() {
    let world = World::quiet().await;
    assert!(matches!(world.ask(device(NOBODY)).await, Outcome::NotFound));
    assert_eq!(world.cloud().statistics().of(Surface::Compliance).requests, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_says_where_users_enrol() {
    let world = World::quiet().await;
    until("mdminfo", || world.directory.enrolment_url().is_some()).await;
    let url = world.directory.enrolment_url().expect("it was told");
    assert_eq!(url, "https://portal.manage.microsoft.com/networkaccesscontrol/index");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_users_enrol_is_asked_again_after_a_failure() {
    let sim = start_sim(Fleet::demo()).await;
    sim.cloud().add_fault(Fault::new(Surfaces::of(Surface::ServiceDetails), FaultKind::Html).times(1));
    let world = World::of(
        sim,
        |intune| {
            intune.polling_interval = Duration::ZERO;
            intune.incremental_interval = Duration::ZERO;
        },
        |_| {},
    );
    until("mdminfo", || world.directory.enrolment_url().is_some()).await;
    assert_eq!(world.cloud().statistics().of(Surface::ServiceDetails).requests, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inventory_file_answers_like_a_cloud_and_fails_like_one() {
    let folder = std::env::temp_dir().join(format!("radmit-inventory-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    let file = folder.join("devices.toml");
    let text = format!(
        "version = 1\n[[device]]\nname = \"LT-0042\"\nintune-id = \"{LT_0042}\"\nwifi-mac = \"{WIFI}\"\ncompliance = \"compliant\"\n"
    );
    std::fs::write(&file, text).expect("it can be written");
    let kind = Kind::Inventory(radmit::mdm::settings::Inventory { file: file.clone() });
    let directory = Arc::new(Directory::new(Capacity::default()));
    let world = World::start(start_sim(Fleet::demo()).await, Settings::new("lab", kind), directory);
    assert!(
        matches!(world.judge(mac(STRANGE_MAC), Medium::Wired), Knowledge::NotRegistered),
        "the file was read when the start is over"
    );
    assert_eq!(found(world.ask(mac(WIFI)).await).compliance, Compliance::Compliant);
    assert!(matches!(world.ask(device(NOBODY)).await, Outcome::NotFound));
    std::fs::remove_file(&file).expect("it was there");
    let mut outcome = Outcome::NotFound;
    for _ in 0..100 {
        outcome = world.ask(mac(WIFI)).await;
        if failure(&outcome).is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(failure(&outcome), Some(Failure::Unreachable));
    assert!(world.directory.find(intune_id(LT_0042)).is_some(), "it grows old, it is not lost");
}

/// Trap 18: each interface but the last gets half of the time; what it answers later is not lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_interface_leaves_time_for_the_next_and_its_answer_comes_in_behind() {
    let world = World::of(
        start_sim(Fleet::demo()).await,
        |intune| {
            intune.polling_interval = Duration::ZERO;
            intune.incremental_interval = Duration::ZERO;
        },
        |settings| settings.lookup_timeout = Duration::from_millis(400),
    );
    // Both tokens and the place of the service are known from here on.
    found(world.ask_on(mac(ETHERNET), Medium::Wired).await);
    world.cloud().add_fault(Fault::delay(Surfaces::of(Surface::Device), Duration::from_millis(800)).times(1));
    let soon = clock::now().mono.plus(Duration::from_millis(400));
    world
        .worker
        .ask(Question { deadline: Some(soon), ..question(device(LT_0043), Medium::Wired) })
        .expect("it can be asked");
    let record = found(world.answer().await.outcome);
    assert_eq!((record.compliance, record.details.os.as_deref()), (Compliance::NonCompliant, None));
    until("the slow answer", || {
        world.directory.find(intune_id(LT_0043)).is_some_and(|record| record.details.os.is_some())
    })
    .await;
}

/// Trap 18: what compliance retrieval knows does not wait for Graph's further facts until it is too late, and that we had
/// little time is no failure of Graph's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_graph_neither_delays_what_is_known_nor_counts_as_down() {
    let world = World::quiet().await;
    // Tokens, connections and the place of the service are known from here on.
    found(world.ask_on(mac(ETHERNET), Medium::Wired).await);
    let template = world.cloud().device(intune_id(LT_0043)).expect("it is in the fleet");
    let stranger = |number: u8| MacAddress::new([0xa4, 0xc3, 0xf0, 0x77, 0, number]);
    world.cloud().add_fault(Fault::delay(Surfaces::of(Surface::Device), Duration::from_secs(1)));
    for number in 1..=6 {
        let mut device = template.clone();
        let Key::Device(id) = self::device(&format!("5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d77{number:02}")) else { return };
        (device.intune_id, device.wifi_mac) = (IntuneId(id), Some(stranger(number)));
        world.cloud().add_device(device);
        let asked_at = clock::now().mono;
        let deadline = Some(asked_at.plus(Duration::from_millis(400)));
        let question = Question { deadline, ..question(Key::Mac(stranger(number)), Medium::Wireless) };
        world.worker.ask(question).expect("Graph is not shut");
        let record = found(world.answer().await.outcome);
        assert_eq!((record.compliance, record.details.os.as_deref()), (Compliance::NonCompliant, None));
        assert!(clock::now().mono.since(asked_at) < Duration::from_millis(390), "before its deadline");
    }
    // Its answers come in behind.
    until("the last of Graph's answers", || {
        let Match::One(record) = world.directory.find_by_mac(clock::now(), stranger(6)) else { return false };
        record.details.os.is_some()
    })
    .await;
}
