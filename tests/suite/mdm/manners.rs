//! Manners: one call for many questions, the budget, throttling.

use radmit::{
    metrics::mdm::Service,
    sim::{Fault, FaultKind, Surface, Surfaces},
};

use super::*;

/// Trap 18: a hundred access points that ask about one device cost one call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_questions_about_one_device_make_one_call() {
    let world = World::quiet_graph().await;
    world.cloud().add_fault(Fault::delay(Surfaces::of(Surface::Device), Duration::from_millis(200)));
    for _ in 0..100 {
        world.put(device(LT_0042), Medium::Wired).expect("it can be asked");
    }
    found(world.answer().await.outcome);
    assert_eq!(world.cloud().statistics().of(Surface::Device).requests, 1);
    assert_eq!(world.metrics.questions_merged.value(), 99);
}

/// The simulator's own count: whatever is asked, the budget is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_budget_is_kept_whatever_is_asked() {
    let world = World::with(Fleet::generated(500, 7), |intune| {
        intune.requests_per_second = 100;
        intune.lookup = vec![Api::Graph];
    })
    .await;
    let began = clock::now();
    for number in 0..400u32 {
        let [a, b, c, d] = number.to_be_bytes();
        let stranger = Guid::new([a, b, c, d, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        let _ = world.worker.ask(Question { never_seen: true, ..question(Key::Device(stranger), Medium::Wired) });
    }
    for _ in 0..100 {
        world.answer().await;
    }
    let seconds = clock::now().mono.since(began.mono).as_secs_f64();
    let sent = world.cloud().statistics().most_in_window_of_all;
    let allowed = 25.0 + 100.0 * seconds + 1.0;
    assert!(f64::from(u32::try_from(sent).expect("few")) <= allowed, "{sent} in {seconds} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_throttled_asks_nothing_until_it_may() {
    let world = World::quiet_graph().await;
    let fault = Fault {
        retry_after: Some(Duration::from_secs(1)),
        ..Fault::new(Surfaces::of(Surface::Device), FaultKind::Throttle)
    };
    world.cloud().add_fault(fault.times(1));
    assert_eq!(failure(&world.ask(device(LT_0042)).await), Some(Failure::Throttled));
    let throttled_at = clock::now();
    // Told at once, and kept: its answer comes by itself when the time is over.
    assert_eq!(world.put(device(LT_0043), Medium::Wired), Err(Failure::Throttled));
    until("the record", || world.directory.find(intune_id(LT_0043)).is_some()).await;
    assert!(clock::now().mono.since(throttled_at.mono) >= Duration::from_millis(900));
    assert_eq!(world.metrics.throttled.value(), 1);
}

/// While compliance retrieval is not asked, nobody asks where it is either; a call that we did not make moves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_not_asked_is_not_searched_for() {
    let world = World::quiet().await;
    assert!(matches!(world.ask(mac(STRANGE_MAC)).await, Outcome::NotFound));
    let fault = Fault { retry_after: Some(PATIENCE * 3), ..Fault::status(Surfaces::of(Surface::Compliance), 503) };
    world.cloud().add_fault(fault.times(1));
    let stranger = |number: u8| Key::Mac(MacAddress::new([0xa4, 0xc3, 0xf0, 0x99, 0, number]));
    assert_eq!(failure(&world.ask(stranger(0)).await), Some(Failure::Unreachable));
    let before = world.cloud().statistics().of(Surface::Discovery).requests;
    for number in 1..6 {
        assert_eq!(failure(&world.ask(stranger(number)).await), Some(Failure::Unreachable));
    }
    assert_eq!(world.cloud().statistics().of(Surface::Discovery).requests, before);
}

/// The demo fleet, asked from Graph alone, whose answers age so soon.
async fn aging(compliance_max_age: Duration) -> World {
    World::of(
        start_sim(Fleet::demo()).await,
        |intune| {
            intune.polling_interval = Duration::ZERO;
            intune.incremental_interval = Duration::ZERO;
            intune.lookup = vec![Api::Graph];
        },
        |settings| settings.ages = Ages { compliance_max_age, ..Ages::default() },
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_device_is_refreshed_before_it_ages() {
    let world = aging(Duration::from_secs(3)).await;
    let first = found(world.ask(device(LT_0042)).await).answered_at;
    found(world.ask(device(LT_0043)).await);
    assert!(matches!(world.judge(device(LT_0042), Medium::Wired), Knowledge::Fresh { .. }));
    let answered = || world.directory.find(intune_id(LT_0042)).expect("it is known").answered_at;
    until("a refresh", || answered() > first).await;
    assert!(matches!(world.judge(device(LT_0042), Medium::Wired), Knowledge::Fresh { .. }));
    assert_eq!(world.cloud().statistics().calls.iter().filter(|call| call.target.contains(LT_0043)).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_only_compliance_retrieval_knows_is_refreshed_before_it_ages() {
    let world = World::of(
        start_sim(Fleet::demo()).await,
        |intune| {
            intune.polling_interval = Duration::ZERO;
            intune.lookup = vec![Api::ComplianceRetrieval];
        },
        |settings| {
            let mac_can_be_asked = settings.mac_can_be_asked();
            settings.ages = Ages { compliance_max_age: Duration::from_secs(3), mac_can_be_asked, ..Ages::default() };
        },
    );
    found(world.ask(mac(WIFI)).await);
    let linked_at = || {
        let address = MacAddress::parse(WIFI.as_bytes()).expect("it is one");
        world.directory.find_by_link(address).expect("it is linked").1
    };
    let first = linked_at();
    assert!(matches!(world.judge(mac(WIFI), Medium::Wired), Knowledge::Fresh { .. }));
    until("a refresh", || linked_at() > first).await;
    assert!(matches!(world.judge(mac(WIFI), Medium::Wired), Knowledge::Fresh { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_answers_hardly_count_nobody_is_asked_behind() {
    let worlds = [aging(Duration::ZERO).await, aging(Duration::from_millis(100)).await];
    for world in &worlds {
        found(world.ask(device(LT_0042)).await);
        world.judge(device(LT_0042), Medium::Wired);
    }
    // Another one is kept fresh meanwhile: had they been refreshed, it would have been ten times as often.
    let other = aging(Duration::from_secs(3)).await;
    let first = found(other.ask(device(LT_0042)).await).answered_at;
    other.judge(device(LT_0042), Medium::Wired);
    let answered = || other.directory.find(intune_id(LT_0042)).expect("it is known").answered_at;
    until("a refresh", || answered() > first).await;
    for world in &worlds {
        assert_eq!(world.cloud().statistics().of(Surface::Device).requests, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_stops_lets_lookups_end_and_asks_nothing_more() {
    let world = World::quiet_graph().await;
    world.cloud().add_fault(Fault::delay(Surfaces::of(Surface::Device), Duration::from_millis(200)));
    world.put(device(LT_0042), Medium::Wired).expect("it can be asked");
    until("the call", || world.cloud().statistics().tokens_issued == 1).await;
    world.worker.clone().shutdown(PATIENCE).await;
    found(world.answers.try_recv().expect("it was told before the end").outcome);
}

/// Requests after which somebody waits on both sides of a reload; one token at a time.
async fn three_wait() -> World {
    let world = World::with(Fleet::demo(), |intune| {
        intune.polling_interval = Duration::ZERO;
        intune.incremental_interval = Duration::ZERO;
        intune.lookup = vec![Api::Graph];
        intune.requests_per_second = 2;
    })
    .await;
    for key in [device(LT_0042), device(LT_0043), device(NOBODY)] {
        world.put(key, Medium::Wired).expect("it can be asked");
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_during_a_reload_is_answered() {
    for faster in [false, true] {
        let (world, old, old_answers) = three_wait().await.reload(|intune| {
            intune.requests_per_second = if faster { 40 } else { 2 };
        });
        old.shutdown(PATIENCE).await;
        let mut told = 0;
        until("three answers", || {
            told += old_answers.try_iter().count() + world.answers.try_iter().count();
            told == 3
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_when_a_worker_ends_for_good_is_answered() {
    let world = three_wait().await;
    world.worker.clone().shutdown(PATIENCE).await;
    assert_eq!(world.answers.try_iter().count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_forgets_neither_a_retry_after_nor_tokens() {
    let world = World::quiet_graph().await;
    let fault = Fault {
        retry_after: Some(Duration::from_secs(30)),
        ..Fault::new(Surfaces::of(Surface::Device), FaultKind::Throttle)
    };
    world.cloud().add_fault(fault.times(1));
    assert_eq!(failure(&world.ask(device(LT_0042)).await), Some(Failure::Throttled));
    let (world, old, _) = world.reload(|_| {});
    old.shutdown(PATIENCE).await;
    assert_eq!(world.put(device(LT_0042), Medium::Wired), Err(Failure::Throttled));
    assert_eq!(world.metrics.service_shut[Service::Graph as usize].value(), 1);
    assert_eq!(world.cloud().statistics().of(Surface::Device).requests, 1);
    // Another tenant's services owe nothing to what those of the first one asked for.
    let World { sim, metrics, settings, directory, worker, .. } = world;
    worker.shutdown(PATIENCE).await;
    let other = World::start_again(sim, settings, directory, metrics, Arc::default());
    assert_eq!(other.metrics.service_shut[Service::Graph as usize].value(), 0);
    found(other.ask(device(LT_0042)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_outlive_a_reload_unless_the_credential_changed() {
    let world = World::quiet_graph().await;
    found(world.ask(device(LT_0042)).await);
    let issued = |world: &World| world.cloud().statistics().tokens_issued;
    let before = issued(&world);
    let (world, _old, _) = world.reload(|intune| intune.proxy = None);
    found(world.ask(device(LT_0043)).await);
    assert_eq!(issued(&world), before);
    let (world, _old, _) = world.reload(|intune| {
        let pairs = vec![application().pair.clone()];
        intune.credential = Credential::Certificate { pairs, assertion: Assertion::Ps256 };
    });
    found(world.ask(device(LT_0042)).await);
    assert_eq!(issued(&world), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_tries_at_once_what_was_refused() {
    let world = World::quiet_graph().await;
    world.cloud().add_fault(Fault::new(Surfaces::GRAPH, FaultKind::NoPermission));
    assert_eq!(failure(&world.ask(device(LT_0042)).await), Some(Failure::Misconfigured));
    world.cloud().clear_faults(Surfaces::GRAPH);
    assert_eq!(world.put(device(LT_0042), Medium::Wired), Err(Failure::Misconfigured));
    let (world, _old, _) = world.reload(|_| {});
    assert_eq!(world.metrics.service_shut[Service::Graph as usize].value(), 0);
    found(world.ask(device(LT_0042)).await);
}
