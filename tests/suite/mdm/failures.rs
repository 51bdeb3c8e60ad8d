//! Bad input: whatever the cloud answers is one of the outcomes, never a verdict and never a lost directory.

use radmit::sim::{Fault, FaultKind, Surface, Surfaces};

use super::*;

/// Each fault of Graph with what policy sees. A known device keeps its record through all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_graph_has_its_outcome() {
    let faults = [
        (FaultKind::Status, Failure::Unreachable),
        (FaultKind::Reset, Failure::Unreachable),
        (FaultKind::Half, Failure::Unreachable),
        (FaultKind::Truncated, Failure::Unreachable),
        (FaultKind::Html, Failure::Unreachable),
        (FaultKind::WrongType, Failure::Unreachable),
        (FaultKind::Empty, Failure::Unreachable),
        (FaultKind::Huge, Failure::Unreachable),
        (FaultKind::ErrorInside, Failure::Unreachable),
        (FaultKind::Redirect, Failure::Unreachable),
        (FaultKind::WrongDevice, Failure::Unreachable),
        (FaultKind::Throttle, Failure::Throttled),
        (FaultKind::ThrottleSilent, Failure::Throttled),
        (FaultKind::NoPermission, Failure::Misconfigured),
        (FaultKind::NoLicence, Failure::Misconfigured),
    ];
    for (kind, expected) in faults {
        let world = World::quiet_graph().await;
        found(world.ask(device(LT_0042)).await);
        world.cloud().add_fault(Fault::new(Surfaces::GRAPH, kind));
        for key in [device(LT_0042), device(LT_0042_ENTRA), mac(WIFI)] {
            assert_eq!(failure(&world.ask(key).await), Some(expected), "{kind:?} {key:?}");
        }
        assert!(world.directory.find(intune_id(LT_0042)).is_some(), "{kind:?}");
        assert_eq!(world.cloud().statistics().elsewhere_with_token, 0, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_compliance_retrieval_has_its_outcome() {
    let faults = [
        (FaultKind::Status, Failure::Unreachable),
        (FaultKind::Reset, Failure::Unreachable),
        (FaultKind::Truncated, Failure::Unreachable),
        (FaultKind::Html, Failure::Unreachable),
        (FaultKind::WrongType, Failure::Unreachable),
        (FaultKind::Empty, Failure::Unreachable),
        (FaultKind::ErrorInside, Failure::Unreachable),
        (FaultKind::Redirect, Failure::Unreachable),
        (FaultKind::Doctype, Failure::Unreachable),
        (FaultKind::Busy, Failure::Throttled),
        (FaultKind::Throttle, Failure::Throttled),
        (FaultKind::NoPermission, Failure::Misconfigured),
    ];
    for (kind, expected) in faults {
        let world = World::with(Fleet::demo(), |intune| {
            intune.lookup = vec![Api::ComplianceRetrieval];
            intune.polling_interval = Duration::ZERO;
        })
        .await;
        found(world.ask(device(LT_0042)).await);
        world.cloud().add_fault(Fault::new(Surfaces::of(Surface::Compliance), kind));
        assert_eq!(failure(&world.ask(device(LT_0042)).await), Some(expected), "{kind:?}");
        assert!(world.directory.find(intune_id(LT_0042)).is_some(), "{kind:?}");
        assert_eq!(world.cloud().statistics().elsewhere_with_token, 0, "{kind:?}");
    }
}

/// What is not permitted is as if it were not there: the index alone tells then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_permission_for_compliance_retrieval_the_index_tells() {
    for surfaces in [Surfaces::of(Surface::Discovery), Surfaces::RETRIEVAL] {
        let world = World::quiet().await;
        world.cloud().add_fault(Fault::new(surfaces, FaultKind::NoPermission));
        assert_eq!(failure(&world.ask(mac(STRANGE_MAC)).await), Some(Failure::NotReady), "{surfaces:?}");
        world.directory.complete_list(3);
        assert!(matches!(world.ask(mac(STRANGE_MAC)).await, Outcome::NotFound), "{surfaces:?}");
        found(world.ask(device(LT_0042)).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_without_the_service_is_misconfigured() {
    let world = World::with(Fleet::demo(), |intune| {
        intune.lookup = vec![Api::ComplianceRetrieval];
        intune.polling_interval = Duration::ZERO;
    })
    .await;
    world.cloud().add_fault(Fault::new(Surfaces::of(Surface::Discovery), FaultKind::NoService));
    assert_eq!(failure(&world.ask(device(LT_0042)).await), Some(Failure::Misconfigured));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_spelling_and_unknown_states_are_no_failures() {
    let world = World::quiet().await;
    world.cloud().add_fault(Fault::new(Surfaces::of(Surface::Discovery), FaultKind::OddCase));
    found(world.ask_on(mac(ETHERNET), Medium::Wired).await);
    world.cloud().add_fault(Fault::new(Surfaces::GRAPH, FaultKind::UnknownValues));
    let record = found(world.ask(device(LT_0043)).await);
    assert!(!record.compliance.is_compliant(true), "trap 13: a new state is never compliant");
}

/// A cloud that hangs: nobody waits longer than the deadline of the engine, and the answer is not lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_too_late_is_there_for_the_next_request() {
    let world = World::quiet_graph().await;
    world.cloud().add_fault(Fault::delay(Surfaces::of(Surface::Device), Duration::from_millis(300)).times(1));
    let soon = Question {
        deadline: Some(clock::now().mono.plus(Duration::from_millis(50))),
        ..question(device(LT_0042), Medium::Wired)
    };
    world.worker.ask(soon).expect("it can be asked");
    until("the record", || world.directory.find(intune_id(LT_0042)).is_some()).await;
    assert!(matches!(world.judge(device(LT_0042), Medium::Wired), Knowledge::Fresh { .. }));
}

/// After five failures in a row nobody is kept waiting any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_told_at_once_after_a_few_failures() {
    let world = World::quiet_graph().await;
    world.cloud().add_fault(Fault::status(Surfaces::GRAPH, 503));
    for _ in 0..5 {
        assert_eq!(failure(&world.ask(device(LT_0042)).await), Some(Failure::Unreachable));
    }
    assert_eq!(world.put(device(LT_0042), Medium::Wired), Err(Failure::Unreachable));
    world.cloud().clear_faults(Surfaces::ALL);
    until("the recovery", || world.put(device(LT_0042), Medium::Wired).is_ok()).await;
    found(world.answer().await.outcome);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_untrusted_certificate_is_unreachable() {
    let sim = start_sim(Fleet::demo()).await;
    let other = start_sim(Fleet::demo()).await;
    let foreign = pem(&other.ca_pem);
    let world = World::of(
        sim,
        |intune| {
            intune.trust.anchors = vec![foreign];
            intune.polling_interval = Duration::ZERO;
            intune.incremental_interval = Duration::ZERO;
        },
        |_| {},
    );
    assert_eq!(failure(&world.ask(device(LT_0042)).await), Some(Failure::Unreachable));
    assert_eq!(world.cloud().statistics().requests(), 0);
}
