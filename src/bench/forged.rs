//! Whether the server verifies what it is asked: requests whose Message-Authenticator is wrong by one bit, before and after a
//! run. What a server does that answers them is no measure of one that has to verify.
//!
//! Owns these requests and their source port, whose Identifiers nobody else uses. They count in nothing else of a run.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use crate::{
    clock,
    limits::{BENCH_FORGED_REQUESTS, HEADER_OCTETS, PACKET_OCTETS_MAX},
    radius::{error::Full, packet::Packet},
};

use super::{
    plan::{Plan, Refused},
    request::{Authenticators, Requests},
};

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forged {
    /// Requests that left.
    pub sent: u64,
    /// Those that were answered, whatever the answer said. More than none: the server does not verify.
    pub answered: u64,
}

/// Sends them and looks for answers.
pub(super) struct Forger {
    socket: UdpSocket,
    /// Signed right, and then spoilt.
    requests: Vec<Vec<u8>>,
    /// By Identifier, which is the place of the request.
    answered: Vec<bool>,
    /// The place of the next one.
    next: usize,
    sent: u64,
}

impl Forger {
    /// `source`: where from; none of the sockets of the load.
    pub(super) fn new(plan: &Plan, source: SocketAddr, seeds: [u64; 2]) -> Result<Self, Refused> {
        let socket = UdpSocket::bind(source).map_err(Refused::Socket)?;
        socket.connect(plan.server).map_err(Refused::Socket)?;
        let nas = socket.local_addr().map_or(source.ip(), |local| local.ip());
        let requests = write(plan, nas, seeds).map_err(Refused::Attributes)?;
        Ok(Self { socket, answered: vec![false; requests.len()], requests, next: 0, sent: 0 })
    }

    /// Sends some more. What can't be sent shows nothing, and is not missed: the load will not get far either.
    pub(super) fn send(&mut self) {
        let some = self.requests.iter().skip(self.next).take(BENCH_FORGED_REQUESTS);
        self.sent += some.filter(|octets| self.socket.send(octets).is_ok()).count() as u64;
        self.next += BENCH_FORGED_REQUESTS;
    }

    /// Waits for answers to all of them.
    pub(super) fn finish(mut self, patience: Duration) -> Forged {
        let until = clock::now().mono.plus(patience);
        let mut room = [0; PACKET_OCTETS_MAX];
        loop {
            let left = until.since(clock::now().mono);
            if left.is_zero() || self.socket.set_read_timeout(Some(left)).is_err() {
                break;
            }
            match self.socket.recv(&mut room) {
                Ok(octets) => self.take(room.get(..octets).unwrap_or_default()),
                // It is about a request that left before; an answer may still come.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let answered = self.answered.iter().filter(|is_answered| **is_answered).count() as u64;
        Forged { sent: self.sent, answered }
    }

    fn take(&mut self, octets: &[u8]) {
        let identifier = octets.get(1).filter(|_| octets.len() >= HEADER_OCTETS).copied();
        if let Some(is_answered) = identifier.and_then(|identifier| self.answered.get_mut(usize::from(identifier))) {
            *is_answered = true;
        }
    }
}

/// As the load asks, by the first device: enough for twice [`Forger::send`].
fn write(plan: &Plan, nas: IpAddr, seeds: [u64; 2]) -> Result<Vec<Vec<u8>>, Full> {
    let secret = Arc::clone(&plan.secret);
    let mac = plan.devices.mac(0);
    let mut authenticators = Authenticators::new(seeds);
    let supplicant = plan.eap_tls.as_ref().and_then(|supplicants| supplicants.first());
    let mut requests = match supplicant {
        None => Requests::new(secret, nas, &plan.attributes)?,
        Some(_) => Requests::with_eap(secret, nas, &plan.attributes)?,
    };
    let mut written = Vec::new();
    for identifier in (0..=u8::MAX).take(2 * BENCH_FORGED_REQUESTS) {
        let authenticator = authenticators.draw();
        let octets = match supplicant {
            None => requests.write(identifier, &authenticator, mac),
            Some(device) => {
                let (name, eap) = (device.identity(), device.identity_response(1));
                requests.write_eap(identifier, &authenticator, mac, name, &eap, None)?
            }
        };
        let mut octets = octets.to_vec();
        spoil(&mut octets);
        written.push(octets);
    }
    Ok(written)
}

/// Turns one bit of the Message-Authenticator, and nothing else.
fn spoil(octets: &mut [u8]) {
    let signature = Packet::parse(octets).ok().and_then(|request| request.message_authenticator());
    match signature.and_then(|at| octets.get_mut(at)) {
        Some(octet) => *octet ^= 1,
        None => debug_assert!(false, "every request is signed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radius::{
        authenticator::{Signature, check_request_signature},
        secret::Secret,
    };

    #[test]
    fn they_are_the_requests_of_the_load_but_for_a_bit_of_their_signature() {
        let secret = Arc::new(Secret::new(b"a secret for the toy".to_vec()).unwrap());
        let plan = Plan::new(([127, 0, 0, 1], 1812).into(), Arc::clone(&secret));
        let written = write(&plan, [127, 0, 0, 1].into(), [1, 2]).unwrap();
        assert_eq!(written.len(), 2 * BENCH_FORGED_REQUESTS);
        for (identifier, mut octets) in (0..).zip(written) {
            assert_eq!(Packet::parse(&octets).unwrap().identifier(), identifier);
            assert_eq!(check_request_signature(&Packet::parse(&octets).unwrap(), &secret), Signature::Wrong);
            spoil(&mut octets);
            assert_eq!(check_request_signature(&Packet::parse(&octets).unwrap(), &secret), Signature::Valid);
        }
    }
}
