//! The background sync: lists, Ethernet addresses, what completes an index, and what never destroys it.

use radmit::{
    device::record::{Compliance, Origin},
    mdm::settings::MassFlipGuard,
    sim::{Fault, FaultKind, Surface, Surfaces},
};

use super::*;

async fn synced(fleet: Fleet) -> World {
    let world = World::with(fleet, |intune| intune.lookup = vec![Api::Graph]).await;
    until("the list", || world.directory.is_complete(Some(Medium::Wireless))).await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_fills_the_index_and_completes_it_for_wireless() {
    let world = synced(Fleet::demo()).await;
    let Knowledge::Fresh { record, .. } = world.judge(mac(WIFI), Medium::Wireless) else { panic!("it is known") };
    assert_eq!((record.intune_id, record.origin), (intune_id(LT_0042), Origin::Sync));
    assert!(matches!(world.judge(mac(STRANGE_MAC), Medium::Wireless), Knowledge::NotRegistered));
    assert!(world.metrics.last_sync.value() > 0);
}

/// Trap 3: lists never tell Ethernet addresses; single GETs in batches do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ethernet_addresses_come_one_by_one_and_complete_the_index_for_wired() {
    let world = World::with(Fleet::generated(90, 3), |intune| {
        intune.lookup = vec![Api::Graph];
        intune.requests_per_second = 100;
    })
    .await;
    until("Ethernet", || world.directory.is_complete(Some(Medium::Wired))).await;
    let (mut told, mut with_address) = (0, 0);
    world.directory.for_each(|record| {
        told += usize::from(record.ethernet_told);
        with_address += usize::from(record.ethernet_mac.is_some());
    });
    assert_eq!(told, 90);
    assert!(with_address > 0);
    assert_eq!(world.cloud().statistics().of(Surface::Batch).requests, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_inside_of_a_batch_are_asked_again() {
    let sim = start_sim(Fleet::generated(40, 3)).await;
    let fault = Fault {
        retry_after: Some(Duration::from_secs(1)),
        ..Fault::new(Surfaces::of(Surface::Device), FaultKind::Throttle)
    };
    sim.cloud().add_fault(fault.times(5));
    let world = World::of(sim, |intune| intune.lookup = vec![Api::Graph], |_| {});
    until("Ethernet", || world.directory.is_complete(Some(Medium::Wired))).await;
    assert!(world.metrics.throttled.value() > 0);
}

/// Trap 12: a list that breaks off adds what it brought and completes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_breaks_off_completes_nothing() {
    let kinds = [FaultKind::Truncated, FaultKind::EndlessPages, FaultKind::ForeignPage, FaultKind::Html];
    let broken = kinds.map(|kind| tokio::spawn(break_off(kind)));
    for broken in broken {
        broken.await.expect("it holds for this kind");
    }
}

async fn break_off(kind: FaultKind) {
    let sim = start_sim(Fleet::generated(3_000, 5)).await;
    sim.cloud().add_fault(Fault::new(Surfaces::of(Surface::List), kind).after(1));
    let world = World::of(sim, |intune| intune.lookup = vec![Api::Graph], |_| {});
    until("the failure", || world.metrics.syncs_failed.value() > 0).await;
    assert!(!world.directory.is_complete(Some(Medium::Wireless)), "{kind:?}");
    assert!(world.directory.len() >= 900, "{kind:?}: what came is kept");
    assert_eq!(world.cloud().statistics().elsewhere_with_token, 0, "{kind:?}");
    assert!(matches!(world.judge(mac(STRANGE_MAC), Medium::Wireless), Knowledge::NotReady), "{kind:?}");
}

/// Trap 12: a shorter list is not believed; who is missing is asked one by one, and only gone if Graph says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_much_shorter_than_the_last_removes_nobody() {
    let sim = start_sim(Fleet::generated(200, 5)).await;
    let directory = Arc::new(Directory::new(Capacity::default()));
    let settings = || {
        let mut intune = intune_of(&sim);
        intune.lookup = vec![Api::Graph];
        intune.requests_per_second = 100;
        Settings::new("corp", Kind::Intune(Box::new(intune)))
    };
    let first = settings();
    let second = settings();
    let world = World::start(sim, first, Arc::clone(&directory));
    until("Ethernet", || directory.is_complete(Some(Medium::Wired))).await;
    let World { sim, worker, .. } = world;
    worker.shutdown(PATIENCE).await;
    let (mut ids, mut restored) = (Vec::new(), Directory::new(Capacity::default()));
    directory.for_each(|record| {
        ids.push(record.intune_id);
        restored.restore((**record).clone());
    });
    assert_eq!(restored.len(), 200);
    sim.cloud().remove_device(ids[0]);
    sim.cloud().add_fault(Fault::new(Surfaces::of(Surface::List), FaultKind::ShortList).times(1));
    let world =
        World::start(sim, second, Arc::new(std::mem::replace(&mut restored, Directory::new(Capacity::default()))));
    until("the failure", || world.metrics.syncs_failed.value() > 0).await;
    assert!(!world.directory.is_complete(Some(Medium::Wireless)));
    until("the one that is gone", || world.directory.find(ids[0]).is_none()).await;
    assert_eq!(world.directory.len(), 199);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_checked_in_since_comes_between_the_full_lists() {
    let world = World::with(Fleet::demo(), |intune| {
        intune.lookup = vec![Api::Graph];
        intune.incremental_interval = Duration::from_millis(100);
    })
    .await;
    until("the list", || world.directory.is_complete(Some(Medium::Wireless))).await;
    world.cloud().set_compliance(intune_id(LT_0042), Compliance::NonCompliant, clock::now().wall);
    until("the change", || {
        world.directory.find(intune_id(LT_0042)).is_some_and(|record| record.compliance == Compliance::NonCompliant)
    })
    .await;
    assert_eq!(world.metrics.syncs_completed.value(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_graph_the_devices_that_are_not_compliant_are_listed_once() {
    let world = World::with(Fleet::demo(), |intune| {
        intune.lookup = vec![Api::ComplianceRetrieval];
        intune.polling_interval = Duration::from_secs(1);
    })
    .await;
    until("the list", || world.directory.len() == 1).await;
    let record = world.directory.find(intune_id(LT_0043)).expect("it is the one");
    assert_eq!(record.compliance, Compliance::NonCompliant);
    assert_eq!(world.cloud().statistics().of(Surface::ComplianceList).requests, 1);
    until("the count", || world.metrics.syncs_completed.value() == 1).await;
    assert!(world.metrics.last_sync.value() > 0);
}

/// Trap 8: the service refuses the broad list with 503 within four hours, and a reload or a restart is no reason to ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_reload_nor_a_restart_asks_for_the_broad_list_again() {
    let world = World::with(Fleet::demo(), |intune| intune.lookup = vec![Api::ComplianceRetrieval]).await;
    until("the list", || world.directory.len() == 1).await;
    let World { sim, worker, directory, settings, .. } = world;
    worker.shutdown(PATIENCE).await;
    let restored = Arc::new(Directory::new(Capacity::default()));
    directory.for_each(|record| restored.restore((**record).clone()));
    let mut sim = sim;
    for directory in [directory, restored] {
        let world = World::start(sim, settings.clone(), directory);
        // It works, and has had the time to ask.
        until("mdminfo", || world.directory.enrolment_url().is_some()).await;
        found(world.ask(device(LT_0042)).await);
        assert_eq!(world.cloud().statistics().of(Surface::ComplianceList).requests, 1);
        world.worker.shutdown(PATIENCE).await;
        sim = world.sim;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broad_list_that_could_not_be_asked_is_asked_soon() {
    for surface in [Surface::Token, Surface::Discovery] {
        let sim = start_sim(Fleet::demo()).await;
        sim.cloud().add_fault(Fault::status(Surfaces::of(surface), 503).times(1));
        let world = World::of(sim, |intune| intune.lookup = vec![Api::ComplianceRetrieval], |_| {});
        until("the list", || world.directory.len() == 1).await;
        assert_eq!(world.cloud().statistics().of(Surface::ComplianceList).requests, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mass_flip_is_held_when_the_guard_is_on() {
    let guard = MassFlipGuard { share_percent: 20, window: Duration::from_secs(600), hold: Duration::from_secs(3600) };
    let world = World::of(
        start_sim(Fleet::generated(300, 11)).await,
        |intune| {
            intune.lookup = vec![Api::Graph];
            intune.incremental_interval = Duration::from_millis(200);
        },
        |settings| settings.mass_flip_guard = Some(guard),
    );
    until("the list", || world.directory.is_complete(Some(Medium::Wireless))).await;
    let compliant = |world: &World| {
        let mut count = 0;
        world.directory.for_each(|record| count += usize::from(record.compliance.is_compliant(true)));
        count
    };
    let before = compliant(&world);
    world.cloud().flip(100, Compliance::NonCompliant, clock::now().wall);
    until("the hold", || world.metrics.held_devices.value() > 60).await;
    assert_eq!(compliant(&world), before);
    world.worker.clone().shutdown(Duration::ZERO).await;
    assert!(compliant(&world) < before, "a reload ends it");
}

/// Trap 15: after a new enrolment two devices share one Entra id: the newest check-in wins if it is one machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_was_enrolled_again_is_the_newest_of_its_rows() {
    let sim = start_sim(Fleet::demo()).await;
    let old = sim.cloud().device(intune_id(LT_0042)).expect("it is in the fleet");
    let mut again = old.clone();
    again.intune_id = intune_id(NOBODY);
    again.compliance = Compliance::NonCompliant;
    again.last_check_in = Some(radmit::device::file::CheckIn::Ago(Duration::from_secs(60)));
    let mut other = again.clone();
    other.intune_id = intune_id("5b1f0c52-7d1e-4a39-9a3b-2f6f0a9daaaa");
    other.details.serial = Some("SN-of-another".into());
    sim.cloud().add_device(again);
    let world = World::of(
        sim,
        |intune| {
            intune.lookup = vec![Api::Graph];
            intune.polling_interval = Duration::ZERO;
            intune.incremental_interval = Duration::ZERO;
        },
        |_| {},
    );
    assert_eq!(found(world.ask(device(LT_0042_ENTRA)).await).intune_id, intune_id(NOBODY));
    // Another machine with the same id, just as alive: nobody can tell.
    world.cloud().add_device(other);
    world.cloud().remove_device(intune_id(LT_0042));
    world.directory.forget(intune_id(NOBODY));
    world.directory.forget(intune_id(LT_0042));
    assert!(matches!(world.ask(device(LT_0042_ENTRA)).await, Outcome::Ambiguous));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_does_not_fetch_the_whole_list_again() {
    let World { sim, worker, directory, settings, .. } = synced(Fleet::demo()).await;
    let before = sim.cloud().statistics().of(Surface::List).requests;
    worker.shutdown(PATIENCE).await;
    let world = World::start(sim, settings, directory);
    // What checked in since is fetched at once, and by the filter for that.
    until("the list of changes", || world.cloud().statistics().of(Surface::List).requests > before).await;
    let calls = world.cloud().statistics().calls;
    let full =
        calls.iter().filter(|call| call.surface == Surface::List && !call.target.contains("lastSyncDateTime gt"));
    assert_eq!(full.count(), 1);
}
