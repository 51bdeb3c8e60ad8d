//! The programs that a kernel runs on each datagram: which shard gets it, and what is turned away by an overloaded socket.
//!
//! Owns their text, as pure functions. When the latter is put in place is decided by `valve`, how both are by `socket`.

/// Of so many requests that begin something, as many as a program is told come in. All of them: there is no need for one.
pub const ALL: u16 = u16::MAX;

/// One instruction of a classic BPF program, in the kernel's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip if a comparison holds.
    pub jt: u8,
    /// How many if it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// The program that chooses among the sockets of `shards` shards, by the Identifier.
///
/// The kernel's own choice is a hash of addresses and ports, which gives all requests of one NAS socket to one shard.
/// By the Identifier they spread, and a retransmission, which has the same Identifier (RFC 2865 section 2.5), still
/// meets the shard that knows its request. A datagram too short to have one goes to shard 0. This program sees the payload.
#[must_use]
pub fn steering(shards: u32) -> [Instruction; 3] {
    [op(LOAD_OCTET, 1), op(MODULO_K, shards), op(RETURN_A, 0)]
}

/// How many attributes are looked at: more than clients send before the State. Each costs 12 instructions, which are about
/// 24 of those that the kernel makes of them; two whole programs, the old one and the next, have to fit into what older
/// kernels grant to a socket's options (20 kB, net.core.optmem_max).
pub const ATTRIBUTES_WALKED: usize = 32;

/// The program for a socket of authentication.
///
/// A Status-Server comes in, and every packet with a State among its first [`ATTRIBUTES_WALKED`] attributes, and so does
/// whatever is no packet by its lengths: the server drops that by itself, and says why. Of the rest `admitted` of [`ALL`]
/// come in; with 0 none does.
///
/// Which those are is up to the client's address and port, to 16 Identifiers in a row, and to `salt`: what a client asks
/// in one go mostly comes in as one or not at all, so that the replies leave together, as they would without overload.
/// A lottery of each by itself would leave no two together, and each would cost more just when time is short. Another
/// salt lets others in; what asks again with the same Identifier (RFC 2865 section 2.5) has a new chance with each. Of
/// requests that are spread over the Identifiers the share holds for a single client too, for those at its border are
/// chosen at random.
///
/// Nothing that it lets in is trusted for it. A flood that carries States is none that this program could stop.
///
/// Source: the kernel's Documentation/networking/filter.rst. A UDP socket's program sees the header of UDP first; loading
/// octets that aren't there would drop the datagram, so every length is compared before.
#[must_use]
pub fn program(admitted: u16, salt: u32) -> Vec<Instruction> {
    let mut program = Vec::with_capacity(PROLOGUE + ATTRIBUTES_WALKED * STEP + EPILOGUE);
    // The datagram holds a header, and it is no Status-Server.
    program.extend([op(LOAD_LENGTH, 0), jump(IF_ABOVE_K, 1, 0, UDP_OCTETS + RADIUS_OCTETS - 1)]);
    program.push(PASS);
    program.extend([op(LOAD_OCTET, UDP_OCTETS), jump(IF_EQUAL_K, 0, 1, STATUS_SERVER), PASS]);
    // Where the packet ends by its Length; that is neither within the header nor after the datagram.
    program.extend([op(LOAD_TWO, UDP_OCTETS + 2), jump(IF_ABOVE_K, 1, 0, RADIUS_OCTETS - 1), PASS]);
    program.extend([op(ADD_K, UDP_OCTETS), op(A_TO_X, 0), op(LOAD_LENGTH, 0), jump(IF_AT_LEAST_X, 1, 0, 0), PASS]);
    // The place of its last octet is kept.
    program.extend([op(X_TO_A, 0), op(SUBTRACT_K, 1), op(KEEP, LAST), op(SET_X, UDP_OCTETS + RADIUS_OCTETS)]);
    debug_assert_eq!(program.len(), PROLOGUE);
    for left in (0..ATTRIBUTES_WALKED).rev() {
        // X is the place of an attribute; without two octets there it is the end.
        let to_end = u32::try_from(left * STEP + STEP - 2).unwrap_or(0);
        program.extend([op(RECALL, LAST), jump(IF_ABOVE_X, 1, 0, 0), op(SKIP, to_end)]);
        // Type and length at once: loads are the most expensive part.
        program.push(op(LOAD_TWO_AT_X, 0));
        program.extend([jump(IF_AT_LEAST_K, 2, 0, (STATE + 1) << 8), jump(IF_AT_LEAST_K, 0, 1, STATE << 8), PASS]);
        program.extend([op(AND_K, 0xff), jump(IF_AT_LEAST_K, 1, 0, 2), PASS]);
        program.extend([op(ADD_X, 0), op(A_TO_X, 0)]);
    }
    // More attributes than are walked: no State so far.
    program.push(op(SKIP, 4));
    // The attributes end where the packet does, or it is broken.
    program.extend([op(RECALL, LAST), op(ADD_K, 1), jump(IF_EQUAL_X, 1, 0, 0), PASS]);
    if admitted > 0 {
        // The end of the client's address and its port. These words are part of its address in IPv4 and the ports, or of
        // its address in IPv6, which both are before or at the UDP header.
        program.extend([op(LOAD_WORD, NETWORK + 12), op(A_TO_X, 0), op(LOAD_WORD, NETWORK + 20), op(ADD_X, 0)]);
        program.extend([op(A_TO_X, 0), op(LOAD_TWO, 0), op(SHIFT_LEFT_K, 8 - RUN_BITS), op(ADD_X, 0), op(A_TO_X, 0)]);
        program.extend([op(LOAD_OCTET, UDP_OCTETS + 1), op(SHIFT_RIGHT_K, RUN_BITS), op(ADD_X, 0)]);
        // Neighbours land far from each other, and any few of them in a row evenly (Knuth 6.4: Fibonacci hashing).
        program.extend([op(MULTIPLY_K, GOLDEN_RATIO), op(ADD_K, salt), op(A_TO_X, 0)]);
        // A client has so many runs; the lottery goes from each to the next one, so that there are no steps.
        program.extend([op(LOAD_WORD, RANDOM), op(SHIFT_RIGHT_K, 8 - RUN_BITS), op(ADD_X, 0)]);
        program.extend([jump(IF_AT_LEAST_K, 1, 0, u32::from(admitted) << 16), PASS]);
    }
    program.push(op(RETURN, 0));
    program
}

const UDP_OCTETS: u32 = 8;
const RADIUS_OCTETS: u32 = 20;
const STATUS_SERVER: u32 = 12;
const STATE: u32 = 24;
/// Instructions before the first attribute.
const PROLOGUE: usize = 18;
/// Instructions for each attribute.
const STEP: usize = 12;
/// Instructions after the last one.
const EPILOGUE: usize = 26;
/// Identifiers of a run, as a power of two.
const RUN_BITS: u32 = 4;
/// 2^32 divided by the golden ratio, as an odd number.
const GOLDEN_RATIO: u32 = 0x9e37_79b1;
/// The word of the scratch memory that holds the place of the last octet.
const LAST: u32 = 0;
/// SKF_AD_OFF + SKF_AD_RANDOM: loading from there gives 32 random bits.
const RANDOM: u32 = 0xffff_f000 + 56;
/// SKF_NET_OFF: what is loaded from there is in the header of IP.
const NETWORK: u32 = 0xfff0_0000;

// Source: include/uapi/linux/bpf_common.h; class, size or operation, mode or source.
const LOAD_LENGTH: u16 = 0x80;
const LOAD_OCTET: u16 = 0x30;
const LOAD_TWO: u16 = 0x28;
const LOAD_WORD: u16 = 0x20;
const LOAD_TWO_AT_X: u16 = 0x48;
const RECALL: u16 = 0x60;
const SET_X: u16 = 0x01;
const KEEP: u16 = 0x02;
const ADD_K: u16 = 0x04;
const ADD_X: u16 = 0x0c;
const SUBTRACT_K: u16 = 0x14;
const MULTIPLY_K: u16 = 0x24;
const AND_K: u16 = 0x54;
const SHIFT_LEFT_K: u16 = 0x64;
const SHIFT_RIGHT_K: u16 = 0x74;
const SKIP: u16 = 0x05;
const IF_EQUAL_K: u16 = 0x15;
const IF_EQUAL_X: u16 = 0x1d;
const IF_ABOVE_K: u16 = 0x25;
const IF_ABOVE_X: u16 = 0x2d;
const IF_AT_LEAST_K: u16 = 0x35;
const IF_AT_LEAST_X: u16 = 0x3d;
const RETURN: u16 = 0x06;
const RETURN_A: u16 = 0x16;
const MODULO_K: u16 = 0x94;
const A_TO_X: u16 = 0x07;
const X_TO_A: u16 = 0x87;

/// The whole datagram comes in.
const PASS: Instruction = op(RETURN, u32::MAX);

const fn op(code: u16, k: u32) -> Instruction {
    jump(code, 0, 0, k)
}

const fn jump(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::radius::{code::Code, kind, packet::Packet};

    /// What the kernel would do with a datagram from anywhere whose lottery draws `random`: true if it comes in.
    fn comes_in(program: &[Instruction], payload: &[u8], random: u32) -> bool {
        comes_in_from(program, &ipv4([10, 1, 2, 3]), 1_645, payload, random)
    }

    fn ipv4(from: [u8; 4]) -> Vec<u8> {
        [&[0x45; 12][..], &from, &[127, 0, 0, 1]].concat()
    }

    fn ipv6(from: Ipv6Addr) -> Vec<u8> {
        [&[0x60; 8][..], &from.octets(), &Ipv6Addr::LOCALHOST.octets()].concat()
    }

    /// The same, with this header of IP and this source port.
    ///
    /// Also holds the program to what the kernel demands: loads within the datagram, jumps forward.
    fn comes_in_from(program: &[Instruction], ip: &[u8], port: u16, payload: &[u8], random: u32) -> bool {
        let datagram = [&port.to_be_bytes()[..], &[0xee; 6], payload].concat();
        let whole = [ip, &datagram].concat();
        let load = |at: u32, octets: usize| -> u32 {
            let (from, at) = if at >= NETWORK { (&whole, at - NETWORK) } else { (&datagram, at) };
            let at = usize::try_from(at).unwrap();
            let octets = from.get(at..at + octets).expect("no load beyond the end");
            octets.iter().fold(0, |value, octet| value << 8 | u32::from(*octet))
        };
        let (mut a, mut x, mut kept, mut at) = (0_u32, 0_u32, None, 0);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let mut branch = |holds| at += usize::from(if holds { jt } else { jf });
            match code {
                LOAD_LENGTH => a = u32::try_from(datagram.len()).unwrap(),
                LOAD_OCTET => a = load(k, 1),
                LOAD_TWO => a = load(k, 2),
                LOAD_TWO_AT_X => a = load(x + k, 2),
                LOAD_WORD if k == RANDOM => a = random,
                LOAD_WORD => a = load(k, 4),
                RECALL => a = kept.expect("it was kept before"),
                KEEP => kept = Some(a),
                SET_X => x = k,
                ADD_K => a = a.wrapping_add(k),
                ADD_X => a = a.wrapping_add(x),
                SUBTRACT_K => a = a.wrapping_sub(k),
                MULTIPLY_K => a = a.wrapping_mul(k),
                AND_K => a &= k,
                SHIFT_LEFT_K => a <<= k,
                SHIFT_RIGHT_K => a >>= k,
                A_TO_X => x = a,
                X_TO_A => a = x,
                SKIP => at += usize::try_from(k).unwrap(),
                IF_EQUAL_K => branch(a == k),
                IF_EQUAL_X => branch(a == x),
                IF_ABOVE_K => branch(a > k),
                IF_ABOVE_X => branch(a > x),
                IF_AT_LEAST_K => branch(a >= k),
                IF_AT_LEAST_X => branch(a >= x),
                RETURN => return k > 0,
                other => panic!("no such instruction: {other:#x}"),
            }
        }
    }

    fn octets(code: u8, attributes: &[(u8, Vec<u8>)], padding: usize) -> Vec<u8> {
        let mut octets = vec![code, 7, 0, 0];
        octets.extend([0x5a; 16]);
        for (kind, value) in attributes {
            octets.extend([*kind, u8::try_from(value.len() + 2).unwrap()]);
            octets.extend(value);
        }
        let length = u16::try_from(octets.len()).unwrap();
        octets[2..4].copy_from_slice(&length.to_be_bytes());
        // Padding that would be a State if it were looked at.
        octets.extend([24, 3, 0].iter().cycle().take(padding));
        octets
    }

    fn arb_attributes() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
        let kind = prop_oneof![8 => 1..24_u8, 8 => 25..=255_u8, 1 => Just(24_u8)];
        proptest::collection::vec((kind, proptest::collection::vec(any::<u8>(), 0..30)), 0..60)
    }

    proptest! {
        #[test]
        fn a_packet_comes_in_for_sure_if_it_has_a_state_or_asks_for_the_status(
            code in prop_oneof![Just(1_u8), Just(4), Just(12), any::<u8>()],
            attributes in arb_attributes(),
            padding in 0..40_usize,
        ) {
            let octets = octets(code, &attributes, padding);
            let has_state = attributes.iter().take(ATTRIBUTES_WALKED).any(|(kind, _)| *kind == 24);
            if let Ok(packet) = Packet::parse(&octets) {
                prop_assert_eq!(packet.has(kind::STATE), attributes.iter().any(|(kind, _)| *kind == 24));
                prop_assert_eq!(packet.code() == Code::STATUS_SERVER, code == 12);
            }
            prop_assert_eq!(comes_in(&program(0, 0), &octets, 0), has_state || code == 12);
            // Of the others those that are chosen: with one salt these, with another the rest.
            let [one, other] = [0, 0x8000_0000].map(|salt| comes_in(&program(0x8000, salt), &octets, 0));
            prop_assert_eq!(one && other, has_state || code == 12);
            prop_assert!(one || other);
        }

        #[test]
        fn what_is_no_packet_by_its_lengths_is_left_to_the_server(
            attributes in arb_attributes(),
            code in Just(1_u8),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = octets(code, &attributes, 0);
            let cut = &whole[..cut.index(whole.len())];
            prop_assert!(comes_in(&program(0, 0), cut, u32::MAX), "its Length is longer than it is");
        }

        #[test]
        fn any_noise_has_a_verdict(noise in proptest::collection::vec(any::<u8>(), 0..600), random in any::<u32>()) {
            let is_sound = Packet::parse(&noise).is_ok();
            let is_in = comes_in(&program(1, 0), &noise, random);
            prop_assert!(is_in || is_sound || noise.len() >= 20);
        }
    }

    /// Of the requests with all Identifiers from each of these clients, as many as come in; and in how many runs, one of
    /// which ends where a request does not come in.
    fn admitted_of(program: &[Instruction], clients: &[(Vec<u8>, u16)]) -> (u32, u32) {
        let mut payload = octets(1, &[(4, vec![0; 4])], 0);
        let (mut admitted, mut runs) = (0, 0);
        // Any numbers, the same ones in each run of the test.
        let mut random = 1_u32;
        for (ip, port) in clients {
            let mut was_in = false;
            for identifier in 0..=255 {
                payload[1] = identifier;
                random = random.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
                let is_in = comes_in_from(program, ip, *port, &payload, random);
                (admitted, runs) = (admitted + u32::from(is_in), runs + u32::from(is_in && !was_in));
                was_in = is_in;
            }
        }
        (admitted, runs)
    }

    #[test]
    fn the_share_holds_for_one_client_and_for_many_and_requests_in_a_row_stay_together() {
        let one = vec![(ipv4([192, 0, 2, 1]), 1_645)];
        let ports = |ip: Vec<u8>| (49_152..49_280).map(move |port| (ip.clone(), port)).collect::<Vec<_>>();
        let switches = (0..=255).map(|host| (ipv4([10, 0, 7, host]), 1_645)).collect();
        let in_v6 = (0..256).map(|host| (ipv6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host)), 1_812)).collect();
        for clients in [one, ports(ipv4([127, 0, 0, 1])), ports(ipv6(Ipv6Addr::LOCALHOST)), switches, in_v6] {
            let of = 256 * clients.len();
            for percent in [2, 10, 33, 50, 90] {
                let program = program(ALL / 100 * percent, 0x1234_5678);
                let (admitted, runs) = admitted_of(&program, &clients);
                let (share, of) = (f64::from(percent) / 100.0, of as f64);
                let got = f64::from(admitted) / of;
                let told = format!("{} clients, {percent} %: {got}, {admitted} in {runs} runs", clients.len());
                assert!((got - share).abs() < if clients.len() == 1 { 1.0 / 16.0 } else { 0.01 }, "{told}");
                // By lot they would be as many as this.
                let by_lot = share * (1.0 - share) * of;
                assert!(percent < 10 || f64::from(runs) < by_lot / 2.0, "{told}, {by_lot} by lot");
            }
        }
    }

    #[test]
    fn with_the_next_salt_it_is_the_turn_of_others() {
        let mut payload = octets(1, &[(4, vec![0; 4])], 0);
        for identifier in [0, 1, 77, 255] {
            payload[1] = identifier;
            let admitted = (0..1_000).filter(|number| {
                let salt = u32::MAX / 1_000 * number;
                comes_in(&program(ALL / 4, salt), &payload, 0)
            });
            assert!((248..=252).contains(&admitted.count()), "{identifier}");
        }
    }

    #[test]
    fn broken_attributes_are_left_to_the_server() {
        for tail in [&[1][..], &[1, 0], &[1, 1], &[1, 4, 0], &[1, 255, 0, 0], &[24, 0]] {
            let mut broken = octets(1, &[(4, vec![0; 4])], 0);
            broken.extend(tail);
            let length = u16::try_from(broken.len()).unwrap();
            broken[2..4].copy_from_slice(&length.to_be_bytes());
            assert!(Packet::parse(&broken).is_err());
            assert!(comes_in(&program(0, 0), &broken, u32::MAX), "{tail:?}");
        }
    }

    #[test]
    fn the_program_is_as_short_as_the_kernel_wants_it() {
        let program = program(1, 0);
        assert!(program.len() < 4_096, "BPF_MAXINSNS");
        assert_eq!(program.last(), Some(&op(RETURN, 0)), "the kernel wants to see it return");
        assert_eq!(program.len(), PROLOGUE + STEP * ATTRIBUTES_WALKED + EPILOGUE);
    }
}
