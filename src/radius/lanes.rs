//! MD5 of many messages side by side: each lane of a wide register works on a message of its own.
//!
//! Owns the compression function for lanes and who sits in which lane. What the messages are is its users' business; a
//! single message is hashed by `hash`. MD5 of one message can't be made faster, because every step waits for the one
//! before; the messages of one batch don't wait for each other.
//!
//! Source: RFC 1321 section 3.4.
#![expect(
    clippy::indexing_slicing,
    reason = "rows and lanes are numbered below the lengths of their arrays; no octet of a stranger is an index"
)]

use fearless_simd::{Level, Simd, dispatch, prelude::*};
use md5::block_api::compress;

/// The lanes of the widest registers there are.
const LANES_MAX: usize = 16;

/// A message, cut into blocks and padded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    /// The state that it starts from; afterwards the one that it has led to.
    pub words: [u32; 4],
    /// Where its blocks start.
    pub start: usize,
    /// How many there are: at least one.
    pub blocks: usize,
}

/// Which registers this machine has; asked once.
pub(super) fn level() -> Level {
    Level::new()
}

/// Hashes all jobs, whose blocks stand in `blocks`.
pub(super) fn hash_all(level: Level, jobs: &mut [Job], blocks: &[[u8; 64]]) {
    if let [job] = jobs {
        let end = job.start.saturating_add(job.blocks);
        return compress(&mut job.words, blocks.get(job.start..end).unwrap_or_default());
    }
    dispatch!(level, simd => in_lanes(simd, jobs, blocks));
}

/// One number of each lane.
type Row = [u32; LANES_MAX];

/// The message of one lane.
#[derive(Clone, Copy, Default)]
struct Seat {
    job: Option<usize>,
    at: usize,
    end: usize,
}

#[inline(always)]
fn in_lanes<S: Simd>(simd: S, jobs: &mut [Job], blocks: &[[u8; 64]]) {
    let mut state = [[0; LANES_MAX]; 4];
    // Two sets, because reading a row as a whole right after its single numbers were written stalls the processor: one
    // set is filled while the other one, filled a turn ago, is worked on.
    let mut words = [[[0; LANES_MAX]; 16]; 2];
    let mut filling = 0;
    let mut seats = [Seat::default(); LANES_MAX];
    let mut waiting = 0..jobs.len();
    let mut is_first = true;
    loop {
        // Whose last block is being worked on in this turn, and who comes after.
        let mut leaving = [None; LANES_MAX];
        let (mut left, mut is_filled) = (0_u32, false);
        for lane in 0..S::u32s::LEN {
            let seat = &mut seats[lane];
            if seat.at == seat.end {
                let next = waiting.next();
                if seat.job.is_none() && next.is_none() {
                    continue;
                }
                leaving[lane] = seat.job;
                left |= 1 << lane;
                *seat = next.and_then(|job| jobs.get(job).map(|found| (job, found))).map_or_else(
                    Seat::default,
                    |(job, found)| Seat { job: Some(job), at: found.start, end: found.start + found.blocks },
                );
            }
            if let Some(block) = blocks.get(seat.at).filter(|_| seat.job.is_some()) {
                for (row, word) in words[filling].iter_mut().zip(block.as_chunks::<4>().0) {
                    row[lane] = u32::from_le_bytes(*word);
                }
                is_filled = true;
            }
            seat.at += usize::from(seat.at < seat.end);
        }
        if !is_first {
            compress_lanes(simd, &mut state, &words[1 - filling]);
        }
        while left != 0 {
            let lane = left.trailing_zeros() as usize;
            left &= left - 1;
            if let Some(job) = leaving[lane].and_then(|job: usize| jobs.get_mut(job)) {
                job.words = state.map(|row| row[lane]);
            }
            if let Some(job) = seats[lane].job.and_then(|job| jobs.get(job)) {
                state.iter_mut().zip(job.words).for_each(|(row, word)| row[lane] = word);
            }
        }
        if !is_filled {
            return;
        }
        filling = 1 - filling;
        is_first = false;
    }
}

#[inline(always)]
fn compress_lanes<S: Simd>(simd: S, state: &mut [Row; 4], words: &[Row; 16]) {
    let load = |row: &Row| S::u32s::from_slice(simd, &row[..S::u32s::LEN]);
    let before = [load(&state[0]), load(&state[1]), load(&state[2]), load(&state[3])];
    let word = |at: usize| load(&words[at % 16]);
    let v = sixteen_steps::<S, 7, 12, 17, 22>(simd, before, &ADDED[0], word, |x, y, z| z ^ (x & (y ^ z)));
    let v = sixteen_steps::<S, 5, 9, 14, 20>(simd, v, &ADDED[1], |at| word(5 * at + 1), |x, y, z| y ^ (z & (x ^ y)));
    let v = sixteen_steps::<S, 4, 11, 16, 23>(simd, v, &ADDED[2], |at| word(3 * at + 5), |x, y, z| x ^ y ^ z);
    let v = sixteen_steps::<S, 6, 10, 15, 21>(simd, v, &ADDED[3], |at| word(7 * at), |x, y, z| y ^ (x | !z));
    for ((row, before), after) in state.iter_mut().zip(before).zip(v) {
        (before + after).store_slice(&mut row[..S::u32s::LEN]);
    }
}

/// One of the four rounds: sixteen steps, which rotate by `R0` to `R3` bits in turn. The bits are parameters, so that
/// they stand in the instructions.
#[inline(always)]
fn sixteen_steps<S: Simd, const R0: u32, const R1: u32, const R2: u32, const R3: u32>(
    simd: S,
    [mut a, mut b, mut c, mut d]: [S::u32s; 4],
    added: &[u32; 16],
    word: impl Fn(usize) -> S::u32s,
    mix: impl Fn(S::u32s, S::u32s, S::u32s) -> S::u32s,
) -> [S::u32s; 4] {
    let input = |at: usize| word(at) + S::u32s::splat(simd, added[at]);
    for at in [0, 4, 8, 12] {
        a = b + rotate::<S, R0>(a + mix(b, c, d) + input(at));
        d = a + rotate::<S, R1>(d + mix(a, b, c) + input(at + 1));
        c = d + rotate::<S, R2>(c + mix(d, a, b) + input(at + 2));
        b = c + rotate::<S, R3>(b + mix(c, d, a) + input(at + 3));
    }
    [a, b, c, d]
}

#[inline(always)]
fn rotate<S: Simd, const BITS: u32>(v: S::u32s) -> S::u32s {
    (v << BITS) | (v >> (32 - BITS))
}

/// What is added in each step.
///
/// Source: RFC 1321 section 3.4.
const ADDED: [[u32; 16]; 4] = [
    [
        0xd76a_a478,
        0xe8c7_b756,
        0x2420_70db,
        0xc1bd_ceee,
        0xf57c_0faf,
        0x4787_c62a,
        0xa830_4613,
        0xfd46_9501,
        0x6980_98d8,
        0x8b44_f7af,
        0xffff_5bb1,
        0x895c_d7be,
        0x6b90_1122,
        0xfd98_7193,
        0xa679_438e,
        0x49b4_0821,
    ],
    [
        0xf61e_2562,
        0xc040_b340,
        0x265e_5a51,
        0xe9b6_c7aa,
        0xd62f_105d,
        0x0244_1453,
        0xd8a1_e681,
        0xe7d3_fbc8,
        0x21e1_cde6,
        0xc337_07d6,
        0xf4d5_0d87,
        0x455a_14ed,
        0xa9e3_e905,
        0xfcef_a3f8,
        0x676f_02d9,
        0x8d2a_4c8a,
    ],
    [
        0xfffa_3942,
        0x8771_f681,
        0x6d9d_6122,
        0xfde5_380c,
        0xa4be_ea44,
        0x4bde_cfa9,
        0xf6bb_4b60,
        0xbebf_bc70,
        0x289b_7ec6,
        0xeaa1_27fa,
        0xd4ef_3085,
        0x0488_1d05,
        0xd9d4_d039,
        0xe6db_99e5,
        0x1fa2_7cf8,
        0xc4ac_5665,
    ],
    [
        0xf429_2244,
        0x432a_ff97,
        0xab94_23a7,
        0xfc93_a039,
        0x655b_59c3,
        0x8f0c_cc92,
        0xffef_f47d,
        0x8584_5dd1,
        0x6fa8_7e4f,
        0xfe2c_e6e0,
        0xa301_4314,
        0x4e08_11a1,
        0xf753_7e82,
        0xbd3a_f235,
        0x2ad7_d2bb,
        0xeb86_d391,
    ],
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The level of this machine, and every one below it.
    fn levels() -> Vec<Level> {
        let best = level();
        let mut levels = vec![best];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(best.as_avx2().map(Level::Avx2));
            levels.extend(best.as_sse4_2().map(Level::Sse4_2));
            levels.extend(best.as_sse2().map(Level::Sse2));
        }
        levels
    }

    fn arb_messages() -> impl Strategy<Value = Vec<([u32; 4], Vec<[u8; 64]>)>> {
        let octets = proptest::collection::vec(any::<u8>(), 64);
        let block = octets.prop_map(|octets| <[u8; 64]>::try_from(octets).unwrap());
        proptest::collection::vec((any::<[u32; 4]>(), proptest::collection::vec(block, 1..9)), 0..70)
    }

    proptest! {
        #[test]
        fn lanes_give_what_the_crate_gives_for_each_message_alone(messages in arb_messages()) {
            let blocks: Vec<[u8; 64]> = messages.iter().flat_map(|(_, blocks)| blocks.clone()).collect();
            let mut start = 0;
            let jobs: Vec<Job> = messages.iter().map(|(words, blocks)| {
                let job = Job { words: *words, start, blocks: blocks.len() };
                start += blocks.len();
                job
            }).collect();
            for level in levels() {
                let mut hashed = jobs.clone();
                hash_all(level, &mut hashed, &blocks);
                for (job, (words, blocks)) in hashed.iter().zip(&messages) {
                    let mut expected = *words;
                    compress(&mut expected, blocks);
                    prop_assert_eq!(job.words, expected, "{:?}", level);
                }
            }
        }
    }
}
