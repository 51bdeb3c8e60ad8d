//! Whether an answer is right: authentic, signed, of a code that answers an Access-Request.
//!
//! Owns the verdict on one answer. Which request it belongs to is decided elsewhere.

use std::collections::VecDeque;

use crate::radius::{
    authenticator::Signature,
    code::Code,
    packet::Packet,
    reply_checks::{ReplyCheckNumber, ReplyChecks, ReplyProof},
};

use super::{
    plan::{Answers, Plan},
    tally::{Loss, Verdict},
};

/// What an answer says to the request with this authenticator, or why it is not believed.
pub(super) fn judge(octets: &[u8], authenticator: &[u8; 16], plan: &Plan) -> Result<Verdict, Loss> {
    judge_with(octets, authenticator, plan, |reply| ReplyProof::of(reply, authenticator, &plan.secret))
}

/// The same, with the proof of the answer from somewhere.
fn judge_with(
    octets: &[u8],
    authenticator: &[u8; 16],
    plan: &Plan,
    proof: impl FnOnce(&Packet<'_>) -> ReplyProof,
) -> Result<Verdict, Loss> {
    if matches!(plan.answers, Answers::Echoed) {
        let echoed = octets.get(4..20) == Some(authenticator);
        return if echoed { Ok(Verdict::Other) } else { Err(Loss::WrongAuthenticator) };
    }
    let reply = Packet::parse(octets).map_err(|_| Loss::Malformed)?;
    is_authentic(proof(&reply), matches!(plan.answers, Answers::MaybeUnsigned))?;
    let verdict = match reply.code() {
        Code::ACCESS_ACCEPT => Verdict::Accept,
        Code::ACCESS_REJECT => Verdict::Reject,
        Code::ACCESS_CHALLENGE => Verdict::Challenge,
        Code::PROTOCOL_ERROR => Verdict::Other,
        _ => return Err(Loss::WrongCode),
    };
    match plan.answers {
        Answers::Checked(is_right) if !is_right(&reply) => Err(Loss::Unexpected),
        _ => Ok(verdict),
    }
}

/// The answers of one batch, whose hashes are computed side by side.
#[derive(Debug, Default)]
pub(super) struct Judges {
    checks: ReplyChecks,
    /// Of each answer that was not judged yet.
    // Bound: those of a batch.
    waiting: VecDeque<Option<Expected>>,
}

/// An answer that was seen ahead.
#[derive(Clone, Copy, Debug)]
struct Expected {
    /// Of the request that it seemed to belong to.
    authenticator: [u8; 16],
    number: ReplyCheckNumber,
}

impl Judges {
    /// Another batch begins.
    pub(super) fn begin(&mut self) {
        self.checks.clear();
        self.waiting.clear();
    }

    /// Sees an answer ahead, and to which request it seems to belong, if to any.
    pub(super) fn see(&mut self, octets: &[u8], authenticator: Option<[u8; 16]>, plan: &Plan) {
        let is_echo = matches!(plan.answers, Answers::Echoed);
        let expected = authenticator.filter(|_| !is_echo).and_then(|authenticator| {
            let reply = Packet::parse(octets).ok()?;
            Some(Expected { authenticator, number: self.checks.add(&reply, &authenticator, &plan.secret) })
        });
        self.waiting.push_back(expected);
    }

    /// Computes the hashes of all that was seen.
    pub(super) fn run(&mut self) {
        self.checks.run();
    }

    /// The next answer comes: what it says to the request with this authenticator. Was that another one when it was seen
    /// ahead, or was none seen, its hashes are computed now.
    pub(super) fn judge_next(&mut self, octets: &[u8], authenticator: &[u8; 16], plan: &Plan) -> Result<Verdict, Loss> {
        let expected = self.next().filter(|expected| expected.authenticator == *authenticator);
        judge_with(octets, authenticator, plan, |reply| {
            let proof = expected.and_then(|expected| self.checks.proof(expected.number, reply));
            proof.unwrap_or_else(|| ReplyProof::of(reply, authenticator, &plan.secret))
        })
    }

    /// The next answer comes, and belongs to nothing.
    pub(super) fn pass_over(&mut self) {
        let _ = self.next();
    }

    fn next(&mut self) -> Option<Expected> {
        self.waiting.pop_front().flatten()
    }
}

/// Whether anybody could have sent what was disbelieved, so that the right answer may still come. Otherwise the server
/// itself has said it.
pub(super) const fn is_anybodys(cause: Loss) -> bool {
    matches!(cause, Loss::WrongAuthenticator | Loss::Malformed)
}

fn is_authentic(proof: ReplyProof, may_be_unsigned: bool) -> Result<(), Loss> {
    if !proof.is_authenticator_valid {
        return Err(Loss::WrongAuthenticator);
    }
    match proof.signature {
        Signature::Valid => Ok(()),
        Signature::Missing if may_be_unsigned => Ok(()),
        Signature::Missing => Err(Loss::MissingMessageAuthenticator),
        Signature::Wrong => Err(Loss::WrongMessageAuthenticator),
    }
}
