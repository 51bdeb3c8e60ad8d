//! The packet path on the page: the cells of all shards and clients added up.
//!
//! Owns which cell stands under which name. The cells are counted by `engine` and `udp`.

use std::{fmt, sync::Arc};

use super::{
    cell::Counter,
    engine::{self, CODES, ClientCells, ClientRegistry, DROP_REASONS, EAP_TLS_VERSIONS, EapResult, METHODS, STRANGERS},
    list::{self, Family},
    page::{Page, Source},
    udp,
};

/// Everything that is counted on the way of a packet.
pub struct Packets {
    /// The clients.
    pub clients: Arc<ClientRegistry>,
    /// The engines of the shards.
    pub shards: Vec<Arc<engine::ShardCells>>,
    /// The sockets of the shards.
    pub sockets: Vec<Arc<udp::ShardCells>>,
    /// Asks the kernel how many datagrams it dropped.
    pub kernel_drops: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl Source for Packets {
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result {
        let clients = self.clients.all();
        let strangers: Vec<&ClientCells> = self.shards.iter().map(|shard| &shard.strangers).collect();
        let all: Vec<(&str, Vec<&ClientCells>)> = clients
            .iter()
            .map(|(name, cells)| (&**name, cells.iter().collect()))
            .chain([(STRANGERS, strangers)])
            .collect();
        by_client(page, &list::REQUESTS, &all, &CODES, |cells| &cells.requests)?;
        by_client(page, &list::RESPONSES, &all, &CODES, |cells| &cells.responses)?;
        self.drops(page, &all)?;
        let unsigned =
            all.iter().map(|(name, cells)| ([*name], cells.iter().map(|cells| cells.unsigned.value()).sum()));
        page.counter(&list::UNSIGNED, unsigned.filter(|(_, number): &(_, u64)| *number > 0))?;
        let decisions = METHODS.iter().enumerate().map(|(at, method)| {
            let cells = self.shards.iter().filter_map(|shard| shard.decisions.get(at)).collect();
            ([*method], cells)
        });
        page.histogram(&list::DECISION_SECONDS, decisions)?;
        page.counter(&list::EAP, self.conversations())?;
        page.gauge(&list::INFLIGHT, [([], self.shards.iter().map(|shard| shard.inflight.value()).sum())])?;
        page.counter(&list::RECEIVED, [([], self.sum(|cells| &cells.received))])?;
        page.counter(&list::SOCKET_DROPPED, [([], (self.kernel_drops)())])?;
        page.counter(&list::SOCKET_SHED, [([], self.sum(|cells| &cells.shed))])?;
        let shards: Vec<String> = (0..self.sockets.len()).map(|shard| shard.to_string()).collect();
        let shedding =
            shards.iter().zip(&self.sockets).map(|(name, cells)| ([&**name], cells.shedding_percent.value()));
        page.gauge(&list::SOCKET_SHEDDING, shedding)?;
        page.counter(&list::SOCKET_FILTER_REFUSED, [([], self.sum(|cells| &cells.filter_refused))])?;
        page.counter(&list::RECEIVE_FAILED, [([], self.sum(|cells| &cells.receive_failed))])?;
        page.counter(&list::SEND_FAILED, [([], self.sum(|cells| &cells.send_failed))])?;
        page.counter(&list::SEGMENTS_REFUSED, [([], self.sum(|cells| &cells.segments_refused))])?;
        page.counter(&list::REPLIES_LOST, [([], self.sum(|cells| &cells.replies_lost))])?;
        page.counter(&list::MDM_ANSWERS_LOST, [([], self.sum(|cells| &cells.answers_lost))])?;
        page.counter(&list::LOG_LOST, [([], self.shards.iter().map(|shard| shard.events_lost.value()).sum())])
    }
}

impl Packets {
    fn sum(&self, cell: impl Fn(&udp::ShardCells) -> &Counter) -> u64 {
        self.sockets.iter().map(|cells| cell(cells).value()).sum()
    }

    /// EAP conversations that ended; what never happened has no series.
    fn conversations(&self) -> impl Iterator<Item = ([&'static str; 3], u64)> + '_ {
        let kinds = EapResult::ALL.into_iter().flat_map(|result| {
            EAP_TLS_VERSIONS.into_iter().flat_map(move |tls| [false, true].map(|resumed| (result, tls, resumed)))
        });
        kinds
            .map(|(result, tls, resumed)| {
                let counted = self.shards.iter().map(|shard| shard.eap.cell(result, Some(tls), resumed).value()).sum();
                ([result.label(), tls, if resumed { "true" } else { "false" }], counted)
            })
            .filter(|(_, number)| *number > 0)
    }

    /// Bugs that a shard caught are drops too; whose packet it was is not known there.
    fn drops(&self, page: &mut Page<'_>, all: &[(&str, Vec<&ClientCells>)]) -> fmt::Result {
        let bugs = self.sum(|cells| &cells.bugs);
        let series = all.iter().flat_map(|(name, cells)| {
            DROP_REASONS.iter().enumerate().map(move |(at, reason)| {
                let counted: u64 = cells.iter().filter_map(|cells| cells.drops.get(at)).map(Counter::value).sum();
                let caught = if (*name, *reason) == (STRANGERS, "bug") { bugs } else { 0 };
                ([*reason, *name], counted + caught)
            })
        });
        // A reason is shown for strangers even before it happens, so that alerts have something to compare with.
        page.counter(&list::DROPPED, series.filter(|([_, name], number)| *number > 0 || *name == STRANGERS))
    }
}

/// Series by a name and by client. What never happened to a client has none: it would be most of the page.
fn by_client<const N: usize>(
    page: &mut Page<'_>,
    family: &Family,
    clients: &[(&str, Vec<&ClientCells>)],
    names: &[&'static str; N],
    cells_of: impl Fn(&ClientCells) -> &[Counter; N] + Copy,
) -> fmt::Result {
    let series = clients.iter().flat_map(|(client, cells)| {
        names.iter().enumerate().map(move |(at, name)| {
            let counted = cells.iter().filter_map(|cells| cells_of(cells).get(at)).map(Counter::value).sum();
            ([*name, *client], counted)
        })
    });
    page.counter(family, series.filter(|(_, number): &(_, u64)| *number > 0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::page::Exposition;

    fn packets() -> Packets {
        let clients = ClientRegistry::new(2);
        let cells = clients.cells(["campus"]);
        for shard in cells[0].iter() {
            shard.requests[0].increment_own();
            shard.responses[1].increment_own();
            shard.drops[2].increment_own();
        }
        let shards: Vec<Arc<engine::ShardCells>> = (0..2).map(|_| Arc::default()).collect();
        shards[0].strangers.drops[0].increment_own();
        shards[1].decisions[0].observe_own(Duration::from_micros(20));
        shards[1].inflight.add(3);
        shards[1].eap.cell(EapResult::Accept, Some("1.3"), true).increment_own();
        let sockets = vec![Arc::<udp::ShardCells>::default()];
        sockets[0].bugs.increment();
        sockets[0].shedding_percent.set(67);
        Packets { clients: Arc::new(clients), shards, sockets, kernel_drops: Box::new(|| 9) }
    }

    fn line(text: &str, start: &str) -> Vec<String> {
        text.lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect()
    }

    #[test]
    fn shards_are_added_up_by_client() {
        let text = Exposition::new(vec![Box::new(packets())]).text();
        let of = |start| line(&text, start);
        assert_eq!(of("radmit_requests_total"), [r#"radmit_requests_total{code="Access-Request",client="campus"} 2"#]);
        assert_eq!(of("radmit_responses_total"), [r#"radmit_responses_total{code="Access-Accept",client="campus"} 2"#]);
        assert_eq!(of("radmit_inflight"), ["radmit_inflight 3"]);
        assert_eq!(of("radmit_eap_total"), [r#"radmit_eap_total{result="accept",tls="1.3",resumed="true"} 1"#]);
        assert_eq!(of("radmit_socket_dropped_total"), ["radmit_socket_dropped_total 9"]);
        assert_eq!(of("radmit_socket_shedding"), [r#"radmit_socket_shedding_percent{shard="0"} 67"#]);
        assert_eq!(
            of("radmit_decision_seconds_count{method=\"mab\"}"),
            ["radmit_decision_seconds_count{method=\"mab\"} 1"]
        );
    }

    #[test]
    fn drops_of_strangers_and_caught_bugs_are_told_without_a_client() {
        let text = Exposition::new(vec![Box::new(packets())]).text();
        let drops = line(&text, "radmit_dropped_total");
        assert!(
            drops.contains(&r#"radmit_dropped_total{reason="bad-message-authenticator",client="campus"} 2"#.to_owned())
        );
        assert!(drops.contains(&r#"radmit_dropped_total{reason="unknown-client",client="(none)"} 1"#.to_owned()));
        assert!(drops.contains(&r#"radmit_dropped_total{reason="bug",client="(none)"} 1"#.to_owned()));
        assert_eq!(drops.len(), 1 + DROP_REASONS.len());
    }
}
