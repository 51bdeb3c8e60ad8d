//! Whether an answer is right: authentic, signed, of a code that answers an Access-Request.
//!
//! Owns the verdict on one answer. Which request it belongs to is decided elsewhere.

use crate::radius::{
    authenticator::{Signature, check_reply_signature, is_response_authenticator_valid},
    code::Code,
    packet::Packet,
    secret::Secret,
};

use super::{
    plan::{Answers, Plan},
    tally::{Loss, Verdict},
};

/// What an answer says to the request with this authenticator, or why it is not believed.
pub(super) fn judge(octets: &[u8], authenticator: &[u8; 16], plan: &Plan) -> Result<Verdict, Loss> {
    if matches!(plan.answers, Answers::Echoed) {
        let echoed = octets.get(4..20) == Some(authenticator);
        return if echoed { Ok(Verdict::Other) } else { Err(Loss::WrongAuthenticator) };
    }
    let reply = Packet::parse(octets).map_err(|_| Loss::Malformed)?;
    is_authentic(&reply, authenticator, &plan.secret, matches!(plan.answers, Answers::MaybeUnsigned))?;
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

/// Whether anybody could have sent what was disbelieved, so that the right answer may still come. Otherwise the server
/// itself has said it.
pub(super) const fn is_anybodys(cause: Loss) -> bool {
    matches!(cause, Loss::WrongAuthenticator | Loss::Malformed)
}

fn is_authentic(
    reply: &Packet<'_>,
    authenticator: &[u8; 16],
    secret: &Secret,
    may_be_unsigned: bool,
) -> Result<(), Loss> {
    if !is_response_authenticator_valid(reply, authenticator, secret) {
        return Err(Loss::WrongAuthenticator);
    }
    match check_reply_signature(reply, authenticator, secret) {
        Signature::Valid => Ok(()),
        Signature::Missing if may_be_unsigned => Ok(()),
        Signature::Missing => Err(Loss::MissingMessageAuthenticator),
        Signature::Wrong => Err(Loss::WrongMessageAuthenticator),
    }
}
