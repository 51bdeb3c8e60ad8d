//! radmit decides who gets onto a company's network.

pub mod clock;
pub mod document;
pub mod limits;
pub mod problem;
