//! Asking device management: Microsoft Intune, or a file that stands in for it.
//!
//! Owns calls, tokens, budgets, back-off and the background sync. Every answer goes into the device directory before
//! anybody is told; how old an answer may be is the directory's judgement, and what it means is policy's. It knows no
//! RADIUS and decides nothing.

mod board;
pub mod breaker;
mod budget;
mod chance;
mod check;
mod cloud;
mod credential;
pub mod desk;
pub mod doctor;
mod explain;
mod flip;
mod gates;
mod intake;
mod intune;
mod inventory;
mod line;
pub mod live;
mod manners;
pub mod settings;
mod skew;
mod spare_time;
pub mod standing;
mod sync;
mod tend;
mod token;
mod transport;
mod turns;
mod usable;
mod wire_tap;
pub mod worker;
