//! Claims about the desk: merging, shares, bounds, and a storm on a toy clock.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet},
    time::Duration,
};

use super::*;
use crate::device::{
    identifier::{Guid, MacAddress},
    question::ServerIndex,
};

const LOOKUP_TIMEOUT: Duration = Duration::from_millis(1_500);

fn start() -> Now {
    Now { mono: Mono::from_nanos(1 << 40), ..Now::default() }
}

fn key(number: u32) -> Key {
    let [a, b, c, d] = number.to_be_bytes();
    Key::Mac(MacAddress::new([0xa4, 0, a, b, c, d]))
}

fn question(now: Now, number: u32) -> Question {
    Question {
        server: ServerIndex(0),
        key: key(number),
        medium: Some(Medium::Wired),
        deadline: Some(now.mono.plus(LOOKUP_TIMEOUT)),
        shard: 0,
        client: 0,
        never_seen: false,
    }
}

fn started(next: Next) -> Option<Key> {
    match next {
        Next::Start(ticket) => Some(ticket.key),
        Next::At(_) | Next::Idle => None,
    }
}

/// Asks as many as the budget allows in `span`, answering each at once.
fn serve(desk: &mut Desk, mut now: Now, span: Duration) -> Vec<Key> {
    let (end, mut served) = (now.mono.plus(span), Vec::new());
    loop {
        match desk.next(now, None) {
            Next::Start(ticket) => {
                served.push(ticket.key);
                desk.finish(&ticket.key);
            }
            Next::At(at) if at < end => now = now.advanced(at.since(now.mono)),
            Next::At(_) | Next::Idle => return served,
        }
    }
}

#[test]
fn a_hundred_questions_about_one_device_make_one_call_and_tell_every_shard() {
    let (mut desk, now) = (Desk::new(80), start());
    for shard in 0..100 {
        assert_eq!(desk.ask(now, &Question { shard, ..question(now, 1) }), Ok(()));
    }
    assert_eq!(serve_one(&mut desk, now), Some(key(1)));
    assert_eq!(desk.ask(now, &Question { shard: 200, ..question(now, 1) }), Ok(()));
    assert_eq!(desk.next(now, None), Next::Idle);
    let shards: Vec<usize> = desk.finish(&key(1)).expect("it was started").shards.iter().collect();
    assert_eq!(shards, (0..100).chain([200]).collect::<Vec<_>>());
    assert_eq!(desk.questions(), 0);
}

fn serve_one(desk: &mut Desk, now: Now) -> Option<Key> {
    started(desk.next(now, None))
}

#[test]
fn who_can_not_be_asked_in_time_is_told_at_once_and_stays_in_the_queue() {
    let (mut desk, now) = (Desk::new(4), start());
    // One token at hand and four a second: 1 + 6 in 1.5 s.
    let verdicts: Vec<_> = (0..10).map(|number| desk.ask(now, &question(now, number)).is_ok()).collect();
    assert_eq!(verdicts, [[true; 7].as_slice(), &[false; 3]].concat());
    assert_eq!(serve(&mut desk, now, Duration::from_secs(10)).len(), 10);
}

#[test]
fn known_devices_get_at_least_every_second_token_in_a_flood_of_strangers() {
    let (mut desk, now) = (Desk::new(80), start());
    for number in 0..5_000 {
        let _ = desk.ask(now, &Question { never_seen: true, ..question(now, number) });
    }
    for number in 10_000..10_050 {
        assert_eq!(desk.ask(now, &question(now, number)), Ok(()), "{number}");
    }
    let served = serve(&mut desk, now, Duration::from_millis(1_001));
    assert_eq!(served.len(), 100);
    let known: HashSet<Key> = (10_000..10_050).map(key).collect();
    assert_eq!(served.iter().filter(|key| known.contains(key)).count(), 50);
}

#[test]
fn one_client_gets_at_most_half_of_what_strangers_get_while_others_want_it() {
    let (mut desk, now) = (Desk::new(80), start());
    for number in 0..1_000 {
        let _ = desk.ask(now, &Question { never_seen: true, client: 1, ..question(now, number) });
    }
    for number in 2_000..2_040 {
        let other = Question { never_seen: true, client: 2, ..question(now, number) };
        assert_eq!(desk.ask(now, &other), Ok(()), "{number}");
    }
    let served = serve(&mut desk, now, Duration::from_millis(751));
    let others: HashSet<Key> = (2_000..2_040).map(key).collect();
    assert_eq!((served.len(), served.iter().filter(|key| others.contains(key)).count()), (80, 40));
}

#[test]
fn work_behind_waits_for_inline_questions_and_leaves_half_of_the_bucket() {
    let (mut desk, now) = (Desk::new(80), start());
    for number in 0..100 {
        assert_eq!(desk.ask(now, &Question { deadline: None, ..question(now, number) }), Ok(()));
    }
    let behind = std::iter::from_fn(|| serve_one(&mut desk, now)).count();
    assert_eq!(behind, 11, "from 20 tokens down to 10, taking the one that leaves 9");
    assert_eq!(desk.ask(now, &question(now, 500)), Ok(()));
    assert_eq!(serve_one(&mut desk, now), Some(key(500)));
}

#[test]
fn the_background_gets_one_token_in_sixteen_when_nothing_is_left() {
    let (mut desk, mut now) = (Desk::new(80), start());
    for number in 0..2_000 {
        let _ = desk.ask(now, &Question { never_seen: true, ..question(now, number) });
    }
    let (mut inline, mut background) = (0, 0);
    for _ in 0..1_000 {
        now = now.advanced(Duration::from_micros(12_500));
        background += u32::from(desk.take_for_background(now).is_ok());
        if let Some(key) = serve_one(&mut desk, now) {
            desk.finish(&key);
            inline += 1;
        }
    }
    assert!((60..=70).contains(&background), "{background} beside {inline}");
}

#[test]
fn what_nobody_waits_for_rests_while_the_services_are_shut() {
    let (mut desk, now) = (Desk::new(80), start());
    let until = now.mono.plus(Duration::from_secs(7));
    assert_eq!(desk.ask(now, &Question { deadline: None, ..question(now, 1) }), Ok(()));
    assert_eq!(desk.next(now, Some(until)), Next::At(until));
    assert_eq!(desk.ask(now, &question(now, 2)), Ok(()));
    assert_eq!(started(desk.next(now, Some(until))), Some(key(2)));
    assert_eq!(started(desk.next(now, None)), Some(key(1)));
}

#[test]
fn a_question_behind_is_put_forward_when_somebody_waits_for_it() {
    let (mut desk, now) = (Desk::new(4), start());
    for number in 0..20 {
        let _ = desk.ask(now, &Question { deadline: None, ..question(now, number) });
    }
    assert_eq!(desk.ask(now, &question(now, 19)), Ok(()));
    assert_eq!(serve_one(&mut desk, now), Some(key(19)));
    desk.finish(&key(19));
    let rest = serve(&mut desk, now.advanced(Duration::from_secs(1)), Duration::from_secs(60));
    assert_eq!(rest.len(), 19, "it is not asked twice");
}

#[test]
fn hanging_calls_about_strangers_leave_room_for_known_devices() {
    let (mut desk, mut now) = (Desk::new(100), start());
    for number in 0..1_000 {
        let _ = desk.ask(now, &Question { never_seen: true, ..question(now, number) });
    }
    let mut hanging = 0;
    for _ in 0..1_000 {
        hanging += usize::from(serve_one(&mut desk, now).is_some());
        now = now.advanced(Duration::from_millis(10));
    }
    assert_eq!(hanging, limits::LOOKUPS_IN_FLIGHT_MAX / 2);
    assert_eq!(desk.ask(now, &question(now, 5_000)), Ok(()));
    assert_eq!(serve_one(&mut desk, now), Some(key(5_000)));
}

#[test]
fn the_queue_is_bounded_and_each_class_has_a_room_of_its_own() {
    let (mut desk, now) = (Desk::new(80), start());
    let bound = u32::try_from(limits::QUESTIONS_QUEUED_MAX).expect("small");
    for number in 0..bound {
        let _ = desk.ask(now, &Question { never_seen: true, ..question(now, number) });
    }
    assert_eq!(desk.questions(), limits::QUESTIONS_QUEUED_MAX / 2);
    for number in bound..2 * bound {
        let _ = desk.ask(now, &Question { deadline: None, ..question(now, number) });
    }
    assert_eq!(desk.questions(), limits::QUESTIONS_QUEUED_MAX / 4 * 3, "work behind is not kept out by strangers");
    for number in 2 * bound..3 * bound {
        let _ = desk.ask(now, &question(now, number));
    }
    assert_eq!(desk.questions(), limits::QUESTIONS_QUEUED_MAX, "nor are known devices");
}

fn stranger(now: Now, client: u32, number: u32) -> Question {
    Question { never_seen: true, client, ..question(now, number) }
}

#[test]
fn a_flood_of_one_client_keeps_no_stranger_of_another_one_out() {
    let (mut desk, now) = (Desk::new(80), start());
    let bound = u32::try_from(limits::QUESTIONS_QUEUED_MAX).expect("small");
    for number in 0..bound {
        let _ = desk.ask(now, &stranger(now, 1, number));
    }
    assert_eq!(desk.ask(now, &stranger(now, 1, bound)), Err(Failure::Throttled), "its own room is used up");
    let others = bound + 1..bound + 14;
    for number in others.clone() {
        assert_eq!(desk.ask(now, &stranger(now, 2, number)), Ok(()), "{number}");
    }
    assert_eq!(desk.questions(), limits::QUESTIONS_QUEUED_MAX / 2);
    let served = serve(&mut desk, now, Duration::from_millis(100));
    assert!(others.map(key).all(|key| served.contains(&key)));
}

#[test]
fn whoever_waits_for_a_question_that_left_is_told() {
    let (mut desk, now) = (Desk::new(80), start());
    let patient = Some(now.mono.plus(Duration::from_secs(3600)));
    let room = u32::try_from(limits::QUESTIONS_QUEUED_MAX / 2).expect("small");
    for number in 0..room {
        let waits = Question { deadline: patient, shard: 7, ..stranger(now, 1, number) };
        assert_eq!(desk.ask(now, &waits), Ok(()));
    }
    assert_eq!(desk.ask(now, &stranger(now, 2, room)), Ok(()));
    let told: Vec<_> = desk.take_evicted().iter().map(|(key, left)| (*key, left.shards.iter().collect())).collect();
    assert_eq!(told, [(key(room - 1), vec![7])], "the newest of whoever has most");
    assert!(desk.take_evicted().is_empty() && !desk.has(&key(room - 1)));
}

#[test]
fn the_known_devices_of_one_client_do_not_keep_those_of_another_one_waiting() {
    let (mut desk, now) = (Desk::new(80), start());
    for number in 0..2_000 {
        let _ = desk.ask(now, &Question { client: 1, ..question(now, number) });
    }
    let others = 5_000..5_010;
    for number in others.clone() {
        assert_eq!(desk.ask(now, &Question { client: 2, ..question(now, number) }), Ok(()), "{number}");
    }
    let served = serve(&mut desk, now, Duration::from_millis(10));
    assert_eq!(served.len(), 20, "a full bucket");
    assert_eq!(others.filter(|number| served.contains(&key(*number))).count(), 10);
}

#[test]
fn what_a_flood_asks_about_as_well_is_asked_in_the_turn_of_whoever_waits_less() {
    let (mut desk, now) = (Desk::new(80), start());
    for number in 0..2_000 {
        let _ = desk.ask(now, &stranger(now, 1, number));
    }
    assert_eq!(desk.ask(now, &stranger(now, 2, 1_999)), Ok(()));
    assert!(serve(&mut desk, now, Duration::from_millis(10)).contains(&key(1_999)));
}

/// Serves for `span`, each question answered at once; one about a stranger takes two calls. Gives the tokens of known
/// devices and of strangers, and by which client.
fn serve_in_two_calls(desk: &mut Desk, mut now: Now, span: Duration) -> (u32, HashMap<u32, u32>) {
    let (end, mut known, mut strangers) = (now.mono.plus(span), 0, HashMap::new());
    loop {
        match desk.next(now, None) {
            Next::Start(ticket) => {
                let class = desk.waiting.get(&ticket.key).expect("it was started").class;
                if class == Class::Stranger {
                    desk.book(now, Some(ticket.key));
                }
                let finished = desk.finish(&ticket.key).expect("it was started");
                match class {
                    Class::Stranger => *strangers.entry(finished.client).or_default() += 2,
                    _ => known += 1,
                }
            }
            Next::At(at) if at < end => now = now.advanced(at.since(now.mono)),
            Next::At(_) | Next::Idle => return (known, strangers),
        }
    }
}

#[test]
fn strangers_get_half_of_the_tokens_whatever_their_lookups_take() {
    let (mut desk, now) = (Desk::new(80), start());
    for number in 0..2_000 {
        let _ = desk.ask(now, &stranger(now, 1, number));
        let _ = desk.ask(now, &question(now, 10_000 + number));
    }
    let (known, strangers) = serve_in_two_calls(&mut desk, now, Duration::from_secs(10));
    let strangers: u32 = strangers.values().sum();
    assert!(known.abs_diff(strangers) <= 2 && known + strangers >= 800, "{known} beside {strangers}");
}

#[test]
fn a_client_whose_lookups_take_more_calls_gets_no_more_tokens_for_it() {
    let (mut desk, mut now) = (Desk::new(80), start());
    for number in 0..2_000 {
        let _ = desk.ask(now, &stranger(now, 1, number));
        let _ = desk.ask(now, &stranger(now, 2, 10_000 + number));
    }
    let mut tokens = HashMap::from([(1, 0u32), (2, 0)]);
    for _ in 0..1_000 {
        match desk.next(now, None) {
            Next::Start(ticket) => {
                let client = desk.waiting.get(&ticket.key).expect("it was started").place.client;
                if client == 1 {
                    desk.book(now, Some(ticket.key));
                }
                desk.finish(&ticket.key);
                *tokens.entry(client).or_default() += 3 - client;
            }
            Next::At(at) => now = now.advanced(at.since(now.mono)),
            Next::Idle => break,
        }
    }
    assert!(tokens[&1].abs_diff(tokens[&2]) <= 2, "{tokens:?}");
}

#[test]
fn who_can_not_be_asked_in_time_is_told_so_also_where_lookups_take_several_calls() {
    let (mut desk, mut now) = (Desk::new(80), start());
    // It has seen what lookups about strangers take.
    for number in 0..200 {
        let _ = desk.ask(now, &Question { deadline: None, ..stranger(now, 1, number) });
        let _ = desk.ask(now, &stranger(now, 1, number));
    }
    serve_in_two_calls(&mut desk, now, Duration::from_secs(60));
    now = now.advanced(Duration::from_secs(60));
    let promised = (1_000..2_000).filter(|number| desk.ask(now, &stranger(now, 1, *number)).is_ok()).count();
    // 20 tokens at hand and 120 in the time there is; each lookup takes two.
    assert!((65..=75).contains(&promised), "{promised}");
}

#[test]
fn strangers_whose_calls_hung_do_not_catch_up_at_the_cost_of_known_devices() {
    let (mut desk, mut now) = (Desk::new(100), start());
    for number in 0..1_000 {
        let _ = desk.ask(now, &stranger(now, 1, number));
    }
    let mut hanging = Vec::new();
    for _ in 0..1_000 {
        hanging.extend(serve_one(&mut desk, now));
        now = now.advanced(Duration::from_millis(10));
    }
    for number in 0..1_000 {
        let _ = desk.ask(now, &question(now, 5_000 + number));
    }
    for _ in 0..200 {
        let known = serve_one(&mut desk, now).expect("there is a token");
        desk.finish(&known);
        now = now.advanced(Duration::from_millis(10));
    }
    for key in hanging {
        desk.finish(&key);
    }
    let (mut known, mut strangers) = (0, 0);
    for _ in 0..200 {
        let key = serve_one(&mut desk, now).expect("there is a token");
        *if desk.finish(&key).expect("it was started").class == Class::Known { &mut known } else { &mut strangers } +=
            1;
        now = now.advanced(Duration::from_millis(10));
    }
    assert!(known >= 80, "{known} beside {strangers}");
}

#[test]
fn questions_about_different_kinds_of_keys_are_not_merged() {
    let (mut desk, now) = (Desk::new(80), start());
    let device = Key::Device(Guid::new([1; 16]));
    assert_eq!(desk.ask(now, &question(now, 1)), Ok(()));
    assert_eq!(desk.ask(now, &Question { key: device, ..question(now, 1) }), Ok(()));
    assert_eq!(desk.questions(), 2);
}

/// 10,000 devices that nobody knows yet ask within 10 s and Graph answers in 150 ms: whoever was not refused at once is
/// asked by its deadline, the budget is kept, and all are known in the time that it allows plus a tenth.
#[test]
fn a_storm_of_strangers_is_over_when_the_budget_allows() {
    const DEVICES: u32 = 10_000;
    const RATE: u32 = 80;
    let (mut desk, begin) = (Desk::new(RATE), start());
    let (mut now, mut arrived) = (begin, 0);
    let mut running: BinaryHeap<Reverse<(Mono, Key)>> = BinaryHeap::new();
    let (mut sent, mut known, mut promised) = (Vec::new(), HashSet::new(), HashMap::new());
    while known.len() < usize::try_from(DEVICES).expect("small") {
        while let Some(Reverse((at, key))) = running.peek().copied().filter(|next| next.0.0 <= now.mono) {
            running.pop();
            desk.finish(&key);
            known.insert(key);
            if let Some(deadline) = promised.remove(&key) {
                assert!(at <= Mono::plus(deadline, Duration::from_millis(150)), "a promise was broken");
            }
        }
        let due = now.mono.since(begin.mono).as_millis();
        while arrived < DEVICES && u128::from(arrived) <= due {
            let stranger = Question { never_seen: true, client: arrived % 50, ..question(now, arrived) };
            if desk.ask(now, &stranger).is_ok() {
                promised.insert(stranger.key, stranger.deadline.expect("it has one"));
            }
            arrived += 1;
        }
        while let Next::Start(ticket) = desk.next(now, None) {
            sent.push(now.mono);
            running.push(Reverse((now.mono.plus(Duration::from_millis(150)), ticket.key)));
        }
        now = now.advanced(Duration::from_millis(1));
    }
    let took = now.mono.since(begin.mono);
    assert!(took <= Duration::from_secs(u64::from(DEVICES / RATE)).mul_f64(1.1), "{took:?}");
    for window in sent.windows(2_000) {
        let span = window[1_999].since(window[0]);
        assert!(span >= Duration::from_secs(20), "2,000 requests within {span:?}");
    }
    assert_eq!(desk.questions(), 0);
}
