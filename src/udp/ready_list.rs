//! Waiting for some of many descriptors: [`ReadyList`].
//!
//! Owns which of them are told. What it costs does not grow with how many there are; for a handful
//! [`Readiness`] is cheaper. The calls themselves stand in `socket`.

#[cfg(target_os = "linux")]
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::{io, os::fd::RawFd, time::Duration};

use super::socket::Readiness;
#[cfg(target_os = "linux")]
use super::socket::{epoll_of, epoll_ready};

/// Waits until some of many descriptors can be read, and tells only those.
#[derive(Debug)]
pub struct ReadyList {
    #[cfg(target_os = "linux")]
    epoll: OwnedFd,
    /// Of the epoll instance: it can itself be waited for, and ppoll knows shorter times than epoll_wait. Elsewhere than on
    /// Linux of all descriptors.
    watch: Readiness,
    #[cfg(not(target_os = "linux"))]
    places: usize,
    ready: Vec<usize>,
}

impl ReadyList {
    /// Watches `descriptors`, which the caller keeps open for as long as it waits.
    ///
    /// # Errors
    /// What the system says.
    #[cfg(target_os = "linux")]
    pub fn of(descriptors: impl IntoIterator<Item = RawFd>) -> io::Result<Self> {
        let epoll = epoll_of(descriptors)?;
        Ok(Self { watch: Readiness::of([epoll.as_raw_fd()]), epoll, ready: Vec::new() })
    }

    /// Watches `descriptors`, which the caller keeps open for as long as it waits.
    ///
    /// # Errors
    /// None.
    #[cfg(not(target_os = "linux"))]
    pub fn of(descriptors: impl IntoIterator<Item = RawFd>) -> io::Result<Self> {
        let descriptors: Vec<RawFd> = descriptors.into_iter().collect();
        Ok(Self { places: descriptors.len(), watch: Readiness::of(descriptors), ready: Vec::new() })
    }

    /// Waits like [`Readiness::wait`].
    ///
    /// # Errors
    /// What the system says, `Interrupted` included; none is ready then.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.ready.clear();
        self.look(timeout)
    }

    #[cfg(target_os = "linux")]
    fn look(&mut self, timeout: Duration) -> io::Result<()> {
        if !timeout.is_zero() {
            self.watch.wait(Some(timeout))?;
            if !self.watch.is_ready(0) {
                return Ok(());
            }
        }
        epoll_ready(&self.epoll, &mut self.ready)
    }

    #[cfg(not(target_os = "linux"))]
    fn look(&mut self, timeout: Duration) -> io::Result<()> {
        self.watch.wait(Some(timeout))?;
        self.ready.extend((0..self.places).filter(|place| self.watch.is_ready(*place)));
        Ok(())
    }

    /// The places of those that could be read.
    #[must_use]
    pub fn ready(&self) -> &[usize] {
        &self.ready
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::{engine::action::Port, udp::socket::bind_group};

    #[test]
    fn of_many_only_those_are_told_that_can_be_read() {
        let bind = |place| bind_group(place, Port::Auth, "127.0.0.1:0".parse().unwrap(), 1, 8_192).unwrap();
        let groups: Vec<_> = (0..300).map(bind).collect();
        let sockets: Vec<_> = groups.iter().flat_map(|group| &group.sockets).collect();
        let mut list = ReadyList::of(sockets.iter().map(|socket| socket.descriptor())).unwrap();
        list.wait(Duration::from_millis(1)).unwrap();
        assert_eq!(list.ready(), [0_usize; 0]);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for place in [7, 299] {
            client.send_to(b"x", sockets[place].local()).unwrap();
        }
        for timeout in [Duration::from_secs(1), Duration::ZERO] {
            list.wait(timeout).unwrap();
            assert_eq!(list.ready().iter().collect::<std::collections::BTreeSet<_>>(), [7, 299].iter().collect());
        }
        sockets[7].udp().recv(&mut [0; 9]).unwrap();
        list.wait(Duration::ZERO).unwrap();
        assert_eq!(list.ready(), [299]);
    }
}
